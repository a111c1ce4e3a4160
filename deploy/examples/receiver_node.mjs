// A hook of yours, with Node alone: HOOK_SECRET=whsec_… PORT=3000 node receiver_node.mjs
// The signature is over the bytes as they came: verify before you parse.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const key = Buffer.from(process.env.HOOK_SECRET.replace(/^whsec_/, ""), "base64");
const seen = new Set(); // yours: a table with a unique key, written together with the work
const TOLERANCE = 300; // seconds

function isSigned(headers, body) {
  const { "webhook-id": id, "webhook-timestamp": at, "webhook-signature": signatures = "" } = headers;
  if (!id || !/^\d{1,12}$/.test(at) || Math.abs(Date.now() / 1000 - at) > TOLERANCE) return false;
  const wanted = createHmac("sha256", key).update(`${id}.${at}.`).update(body).digest();
  return signatures.split(" ").some((one) => {
    const [version, text = ""] = one.split(",");
    const given = Buffer.from(text, "base64");
    return version === "v1" && given.length === wanted.length && timingSafeEqual(given, wanted);
  });
}

function work(event) {
  console.log(event.type, event.data.id); // your work
}

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  if (request.method !== "POST" || request.url !== "/hooks") return response.writeHead(404).end();
  if (!isSigned(request.headers, body)) return response.writeHead(401).end();
  response.writeHead(204).end();
  const id = request.headers["webhook-id"];
  if (seen.has(id)) return;
  seen.add(id);
  work(JSON.parse(body));
}).listen(Number(process.env.PORT ?? 3000), "127.0.0.1");

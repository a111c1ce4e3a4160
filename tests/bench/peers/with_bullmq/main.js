// Fastify and BullMQ: verify, deduplicate by job id, enqueue; a worker with 100 jobs at once.
import crypto from 'node:crypto';
import fs from 'node:fs/promises';
import readline from 'node:readline';
import Fastify from 'fastify';
import { Queue, Worker } from 'bullmq';
import { Agent, request } from 'undici';

const { PEER_SECRET = '', PEER_REDIS, PEER_OUT } = process.env;
const key = PEER_SECRET.replace(/^whsec_/, '');
const at = new URL(PEER_REDIS);
const connection = { host: at.hostname, port: Number(at.port), maxRetriesPerRequest: null };
const keeping = { removeOnComplete: true, removeOnFail: 1000 };
const [role, port] = process.argv.slice(2);

function verified(headers, body) {
  const id = headers['webhook-id'], timestamp = headers['webhook-timestamp'];
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) return false;
  const expected = 'v3,' + crypto.createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('hex');
  const got = String(headers['webhook-signature']);
  return got.length === expected.length && crypto.timingSafeEqual(Buffer.from(got), Buffer.from(expected));
}

async function serve() {
  const queue = new Queue('peer', { connection });
  const app = Fastify();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_, body, done) => done(null, body));
  app.post('/webhooks/wavespeed', async (asked, answer) => {
    if (!verified(asked.headers, asked.body)) return answer.code(401).send({ reason: 'signature' });
    const said = JSON.parse(asked.body);
    // A job id that is there already is not added again: BullMQ's own deduplication. It may not be a bare number.
    await queue.add('fetch', said, { jobId: said.id, ...keeping });
    return { id: said.id, outcome: 'new' };
  });
  await app.listen({ port: Number(port), host: '127.0.0.1' });
}

async function fill() {
  const queue = new Queue('peer', { connection });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const said = JSON.parse(line);
    await queue.add('fetch', said, { jobId: said.id, ...keeping });
  }
  await queue.close();
}

async function keep(id, answer) {
  const digest = crypto.createHash('sha256');
  const temporary = `${PEER_OUT}/.${id}.part`;
  const file = await fs.open(temporary, 'w', 0o640);
  try {
    for await (const chunk of answer.body) {
      digest.update(chunk);
      await file.write(chunk);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  await fs.rename(temporary, `${PEER_OUT}/${id}.jpg`);
  const folder = await fs.open(PEER_OUT, 'r');
  await folder.sync();
  await folder.close();
}

function work() {
  const dispatcher = new Agent({ connections: 100 });
  const fetch = async (job) => keep(job.data.id, await request(job.data.outputs[0], { dispatcher }));
  new Worker('peer', fetch, { connection, concurrency: 100 });
}

await { serve, fill, work }[role]();

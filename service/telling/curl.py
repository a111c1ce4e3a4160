"""An event as a command for a shell, signed there: it holds no secret, and asks for that in `$SECRET`."""

from __future__ import annotations

from shlex import quote


def signed(url: str, event_id: str, body: str) -> str:
    """For bash with openssl, per Standard Webhooks; exactly these bytes, signed anew at the time it runs."""
    return "\n".join(
        (
            ': "${SECRET:?export it first: it is the whsec_… of this hook in catchlight.toml}"',
            f"id={quote(event_id)} ts=$(date +%s)",
            f"body={quote(body)}",
            "key=$(printf %s \"${SECRET#whsec_}\" | base64 -d | od -An -v -tx1 | tr -d ' \\n')",
            'signature=$(printf %s.%s.%s "$id" "$ts" "$body" |',
            '  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)',
            f"curl -i {quote(url)} \\",
            "  -H 'content-type: application/json' -H \"webhook-id: $id\" \\",
            '  -H "webhook-timestamp: $ts" -H "webhook-signature: v1,$signature" --data-binary "$body"',
        )
    )

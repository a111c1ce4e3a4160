"""The Redis layout: every key of ours is spelled here, and nowhere else.

| Key                      | Type   | Lives                   | Written by           | Read by           |
|--------------------------|--------|-------------------------|----------------------|-------------------|
| prediction:<source>:<id> | hash   | RETENTION once terminal | accept, commit, …    | workers, API, CLI |
| timeline:<source>:<id>   | list   | with its prediction     | every script         | show, API         |
| events:<source>:<id>     | hash   | with its prediction     | commit               | deliver           |
| outbox:<source>:<id>     | set    | with its prediction     | commit               | show, replay      |
| stage:<stage>            | zset   | for ever, trimmed       | every move           | lists, counts     |
| index                    | zset   | for ever, trimmed       | accept               | lists             |
| expiry                   | zset   | for ever, trimmed       | commit               | trim              |
| settled                  | zset   | for ever, till compact  | commit, restore      | sweeper           |
| review                   | zset   | for ever, trimmed       | commit               | review            |
| loss                     | zset   | for ever, trimmed       | sweeper              | scaling           |
| kept:held                | zset   | for ever, till deleted  | commit               | prune             |
| kept:rejected            | zset   | for ever, till deleted  | commit               | prune             |
| payloads                 | string | for ever                | payloads             | prune             |
| word:<name>:<value>      | zset   | for ever, trimmed       | accept, commit, …    | lists             |
| words                    | zset   | for ever, trimmed       | accept, commit, …    | lists, trim       |
| marked                   | hash   | for ever                | trim                 | lists, trim       |
| run:<id>                 | hash   | 7 d after its last beat | runs, replay, …      | runs              |
| run:members:<id>         | list   | 7 d after its last beat | runs                 | runs              |
| run:left:<id>            | list   | 7 d after the last      | replay, …            | runs              |
| runs                     | zset   | for ever, the last 7 d  | runs                 | runs              |
| runs:asked               | zset   | until it has ended      | API                  | sweeper           |
| due:work                 | zset   | for ever                | accept, lease, …     | sweeper           |
| due:poll                 | zset   | for ever                | accept, sweeper      | sweeper           |
| delivery:<delivery id>   | hash   | RETENTION once ended    | commit, deliver      | deliver, API      |
| deliveries               | zset   | for ever, trimmed       | commit               | lists             |
| deliveries:waiting       | zset   | for ever                | deliver              | sweeper           |
| deliveries:active        | zset   | for ever                | commit, deliver      | sweeper, counts   |
| deliveries:parked:<hook> | set    | for ever                | deliver (hook down)  | enable, sweeper   |
| stream:<name>            | stream | for ever, bounded       | deliver, hooks test  | your consumers    |
| hook:<name>              | hash   | for ever                | deliver, enable      | deliver, hooks    |
| hook:hour:<hour>:<name>  | hash   | 49 h after its first    | deliver              | hooks, dashboard  |
| hooks:tests              | hash   | for ever, one a hook    | dashboard, sweeper   | dashboard         |
| hooks:tests:asked        | zset   | until it is tested      | dashboard            | sweeper           |
| intent:<key>             | string | 7 d                     | submit               | submit, reconcile |
| intents                  | zset   | for ever, trimmed       | submit               | backup            |
| intents:open             | zset   | for ever, trimmed       | submit               | reconcile         |
| role:<role>:<instance>   | hash   | 15 s, renewed           | every role           | status, doctor    |
| roles                    | zset   | for ever, trimmed       | every role           | status, doctor    |
| sweeper                  | string | 10 s, renewed           | sweeper              | sweeper           |
| clock                    | string | for ever                | sweeper              | sweeper           |
| reconciled:<source>      | string | 14 d, renewed           | sweeper              | sweeper           |
| drift                    | hash   | for ever, one a source  | sweeper, reconcile   | status, reconcile |
| secrets                  | hash   | for ever, one a source  | receiver             | status, receiver  |
| aside                    | list   | 7 d after the last      | RQ worker, sweeper   | doctor            |
| refused                  | zset   | 30 d after the last     | receiver             | refused, API      |
| refused:by:<process>     | string | 1 d after the last      | receiver             | receiver          |
| refused:hour:<hour>      | hash   | 49 h after the last     | receiver             | dashboard         |
| policies                 | list   | for ever, the last 100  | worker               | people            |
| reviewer:<source>:<id>:<index> | string | 60 s, renewed    | review page          | review page       |
| looks                    | list   | 30 d after the last     | review page          | review page       |
| tally                    | hash   | for ever                | every script         | status, demo      |
| history                  | list   | for ever, the last day  | sweeper              | dashboard, top    |
| measured                 | hash   | for ever                | serve, work          | metrics           |
| restoring                | string | for ever: to its end    | restore              | restore           |
| schema                   | string | for ever                | every process, once  | every process     |
| sequence                 | string | for ever                | accept, commit, jobs | every script      |
| probe                    | string | 60 s                    | readiness            | nobody            |

All start with `catchlight:`. Scores are seconds since the epoch, except in `index`, `stage:*`, `review`,
`refused` and `deliveries`, where a score is a sequence number: unique, so a page's cursor is exact.
A word's scores are numbers of blocks of sequence numbers (`ledger/walking.py`).
`events` holds the body of each event under its id. When a prediction has ended a while ago, all of it stands
in its hash alone (`ledger/compact.py`), and its deliveries' hashes say no more than whose they are.
RETENTION is a day longer as a key's TTL, so that `trim` always comes first and takes the entries of every
list with it. RQ's own keys keep RQ's prefix.
"""

from __future__ import annotations

PREFIX = "catchlight:"

PREDICTION = PREFIX + "prediction:"
TIMELINE = PREFIX + "timeline:"
EVENTS = PREFIX + "events:"
OUTBOX = PREFIX + "outbox:"
STAGE = PREFIX + "stage:"
INDEX = PREFIX + "index"
EXPIRY = PREFIX + "expiry"
SETTLED = PREFIX + "settled"
"""What has ended and is not compact yet, by when it ended."""
REVIEW = PREFIX + "review"
"""Predictions that ended with a held output."""
LOSS = PREFIX + "loss"
"""What has waited for longer than a moment, by when it was created: its outputs are deleted a week later."""
KEPT_HELD = PREFIX + "kept:held"
"""Ended predictions with a held file, by when the oldest of them was held."""
KEPT_REJECTED = PREFIX + "kept:rejected"
"""Those with a rejected file that is still there, by when the oldest of them was rejected."""
PAYLOADS = PREFIX + "payloads"
"""Up to which place in `expiry` what the provider said has been dropped; none until a retention is set."""
WORD = PREFIX + "word:"
"""The blocks of sequence numbers in which something has a word that lists are searched by."""
WORDS = PREFIX + "words"
"""All words that have blocks, in the order of the alphabet."""
MARKED = PREFIX + "marked"
"""From which sequence number on words have all their blocks, and where trimming them goes on."""
RUN = PREFIX + "run:"
RUN_MEMBERS = PREFIX + "run:members:"
"""What a bulk run acts on, in its order."""
RUN_LEFT = PREFIX + "run:left:"
"""What it did not do, with the reason."""
RUNS = PREFIX + "runs"
RUNS_ASKED = PREFIX + "runs:asked"
"""Those that the sweeper carries out."""
DUE_WORK = PREFIX + "due:work"
DUE_POLL = PREFIX + "due:poll"
DELIVERY = PREFIX + "delivery:"
DELIVERIES = PREFIX + "deliveries"
DELIVERIES_WAITING = PREFIX + "deliveries:waiting"
DELIVERIES_ACTIVE = PREFIX + "deliveries:active"
DELIVERIES_PARKED = PREFIX + "deliveries:parked:"
STREAM = PREFIX + "stream:"
"""Of hooks of that kind."""
HOOK = PREFIX + "hook:"
HOOK_HOUR = PREFIX + "hook:hour:"
"""Attempts by what came of them, of one hour since the epoch: no hook has a colon in its name."""
HOOK_TESTS = PREFIX + "hooks:tests"
HOOK_TESTS_ASKED = PREFIX + "hooks:tests:asked"
"""Hooks that the sweeper is to send a ping."""
INTENT = PREFIX + "intent:"
INTENTS = PREFIX + "intents"
"""The keys of all intents, by when they were written."""
INTENTS_OPEN = PREFIX + "intents:open"
ROLE = PREFIX + "role:"
ROLES = PREFIX + "roles"
"""The names of those that have beaten lately, by their last beat: nobody looks for keys to find them."""
SWEEPER = PREFIX + "sweeper"
CLOCK = PREFIX + "clock"
"""The server's time at the last sweep."""
RECONCILED = PREFIX + "reconciled:"
"""A mark of the last reconciliation: gone or older when Redis has lost what it had."""
DRIFT = PREFIX + "drift"
"""What the last reconciliation of each source found, as JSON."""
SECRETS = PREFIX + "secrets"
"""Whether each source's secret was the provider's when somebody compared them, as JSON; no secret."""
ASIDE = PREFIX + "aside"
REFUSED = PREFIX + "refused"
REFUSED_BY = PREFIX + "refused:by:"
"""The number of the last batch that a process has written."""
REFUSED_HOUR = PREFIX + "refused:hour:"
"""How many of one hour since the epoch, by their reason."""
POLICIES = PREFIX + "policies"
"""Changes of the moderation policy, newest first."""
REVIEWER = PREFIX + "reviewer:"
"""Who has a held output before them, so that nobody else decides about it meanwhile."""
LOOKS = PREFIX + "looks"
"""Who had which held output revealed, and when; the last 500."""
TALLY = PREFIX + "tally"
HISTORY = PREFIX + "history"
"""The tally once a minute, newest first, as JSON."""
MEASURED = PREFIX + "measured"
"""How long things took, as buckets, and counts of what no script sees."""
RESTORING = PREFIX + "restoring"
"""Which backup is being written into this ledger."""
SCHEMA = PREFIX + "schema"
"""The version of all this; `ledger/schema.py`."""
SEQUENCE = PREFIX + "sequence"
PROBE = PREFIX + "probe"
"""Written by readiness checks to see that Redis takes a write."""


def lua() -> str:
    """The same names as a Lua table `K`, put in front of every script."""
    names = {name: value for name, value in globals().items() if name.isupper() and isinstance(value, str)}
    return "local K = {" + ", ".join(f'{name} = "{value}"' for name, value in sorted(names.items())) + "}\n"

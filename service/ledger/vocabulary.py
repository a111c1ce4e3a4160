"""What compact records are full of: words and shapes that the compression knows beforehand.

Never to be changed: what was compacted with it can be read with nothing else. What is met most often stands
last, where it is the cheapest to point at.
"""

from __future__ import annotations

_RARE = (
    '"input":{"prompt":"","image":"https://","size":"1024*1024","seed":-1,"num_inference_steps":,"guida'
    'nce_scale":,"enable_safety_checker":true,"output_format":"png"},"has_nsfw_contents":[false],"execu'
    'tionTime":,"timings":{"inference":},"urls":{"get":"https://","code":,"message":"success","data":{o'
    "utputs_gone outputs_refused outputs_bad attempts_exhausted crashes_exhausted deadline unknown_to_p"
    "rovider moderation provider_failed cancelled timeout deleted failed expired awaited type_not_allow"
    "ed said_reason said_error metadata crashes crashes_alone was redeliver polls known_at track submit"
    ' reconcile poll replay {"0":{"number":1,"decision":"approve","by":"","reason":"","at":,"nonce":"",'
    '"nsfw":"f","sha256":""reject""undo""output.held""output.released""output.rejected""prediction.fail'
    'ed""prediction.expired""prediction.dead""rejected""released""skipped""dropped""lost""held""flagged'
    '""unknown"application/zip text/plain application/json model/gltf-binary audio/mpeg audio/wav audio'
    "/flac audio/ogg video/webm video/quicktime video/mp4 image/gif image/avif image/webp image/jpeg .m"
    "p4 .webp .jpeg .jpg .png contradicted conflict crashed replayed reviewed reconciled polled tracked"
    " submitted "
)
_DELIVERY = (
    "event_id\x1fevt_\x1eevent\x1fprediction.completed\x1ehook\x1fcrm\x1ecreated_at\x1f17\x1esequence"
    "\x1f1\x1estate\x1fdead\x1eerror\x1f\x1estate\x1fdelivered\x1eattempts\x1f1\x1etoken\x1f2\x1erings"
    "\x1f1\x1elast_status\x1f200"
)
_EVENT = (
    'evt_\x1f{"type":"prediction.completed","timestamp":"2026-","data":{"id":"","source":"","model":"",'
    '"status":"completed","stage":"done","reason":null,"received_via":"callback","created_at":"202","fi'
    'nished_at":"202","metadata":{},"outputs":[{"index":0,"disposition":"stored","nsfw":"clean","uri":"'
    's3://","sha256":"","bytes":1,"media_type":"image/png","width":1024,"height":1024,"error":null}]}}'
    "\x1d"
)
_LINES = (
    '{"at":17,"detail":"submitted","step":"submitted"}\x1e{"at":17,"detail":"terminal","step":"polled"}'
    '\x1e{"at":17,"detail":"completed","step":"called_back"}\x1e{"at":17,"detail":"completed","step":"a'
    'ccepted"}\x1e{"at":17,"detail":"","step":"leased"}\x1e{"at":17,"detail":"0 clean","step":"judged"}'
    '\x1e{"at":17,"detail":"0: 1 bytes of image/png","step":"fetched"}\x1e{"at":17,"detail":"1: 2 bytes'
    ' of video/mp4","step":"fetched"}\x1e{"at":17,"detail":"file:///","step":"stored"}\x1e{"at":17,"det'
    'ail":"s3://","step":"held"}\x1e{"at":17,"detail":"done","step":"committed"}\x1e{"at":17,"detail":"'
    'prediction.completed","step":"event"}\x1e{"at":17,"detail":" prediction.completed: 200","step":"de'
    'livered"}\x1d'
)
_FIELDS = (
    "source\x1f\x1eid\x1f\x1emodel\x1f\x1epolls\x1f0\x1efailures\x1f0\x1egeneration\x1f1\x1evia\x1fcall"
    "back\x1eknown_at\x1f17\x1ecreated_at\x1f17\x1ereceived_at\x1f17\x1efinished_at\x1f17\x1eoutputs"
    '\x1f[{"index":0,"nsfw":"clean","url":"https://.cloudfront.net/output/predictions//1.png","disposit'
    'ion":"stored","key":"/2026/0.png","uri":"file:///outputs/s3://","sha256":"","bytes":,"media_type":'
    '"image/png","width":1024,"height":1024,"error":null,"held_at":null,"decision":0,"gone":0,"bad":fal'
    'se},{"index":1'
)
VOCABULARY = f"{_RARE}{_DELIVERY}{_EVENT}{_LINES}{_FIELDS}".encode()

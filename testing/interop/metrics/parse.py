"""Parses metrics from standard input, and checks the names, types, labels and some values."""
import sys

from prometheus_client.parser import text_string_to_metric_families

from metrics import EXPECTED

VALUES = {
    ("websocket_messages_total", "direction", "received"): 6,
    ("websocket_messages_total", "direction", "sent"): 6,
    ("websocket_bytes_total", "direction", "sent"): 24,
    # Six echoes and three close frames.
    ("websocket_frames_total", "direction", "sent"): 9,
    ("websocket_closes_total", "code", "1000"): 3,
    ("websocket_handshakes_total", "status", "accepted"): 3,
}

families = {family.name: family for family in text_string_to_metric_families(sys.stdin.read())}
wrong = []
for name, (kind, labels) in EXPECTED.items():
    family = families.get(name)
    if family is None:
        wrong.append(f"no {name}")
        continue
    if family.type != kind:
        wrong.append(f"{name} is a {family.type} and not a {kind}")
    if not family.documentation:
        wrong.append(f"{name} has no description")
    for sample in family.samples:
        if set(sample.labels) - {"le"} != labels:
            wrong.append(f"{sample} has other labels than {labels}")
samples = [sample for family in families.values() for sample in family.samples]
for (name, label, value), expected in VALUES.items():
    found = [it.value for it in samples if it.name == name and it.labels.get(label) == value]
    if found != [expected]:
        wrong.append(f"{name} of {value} is {found} and not {expected}")
for family in families.values():
    if not family.name.startswith(("websocket_", "http_server_")):
        wrong.append(f"{family.name} is not expected")
if wrong:
    sys.exit("\n".join(wrong))
print(f"{len(families)} metrics with {len(samples)} samples")

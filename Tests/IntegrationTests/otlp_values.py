"""Compare requests of OTLP in both encodings: otlp_values.py KIND PROTOBUF JSON

Prints the request as one line of JSON, with ids in hexadecimal, if both files decode to equal values; otherwise it fails.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

IDS = {"traceId", "spanId", "parentSpanId"}


def converted(value: Any, convert: Any) -> Any:
    """Return the value with all of its ids converted."""
    if isinstance(value, dict):
        return {key: convert(item) if key in IDS else converted(item, convert) for key, item in value.items()}
    if isinstance(value, list):
        return [converted(item, convert) for item in value]
    return value


def main() -> None:
    """Decode both files and compare them."""
    kind, protobuf, text = sys.argv[1:]
    message = ExportTraceServiceRequest if kind == "traces" else ExportLogsServiceRequest
    binary = message.FromString(Path(protobuf).read_bytes())
    # OTLP's JSON has ids in hexadecimal, where protobuf's own has base64.
    plain = converted(json.loads(Path(text).read_text()), lambda id: base64.b64encode(bytes.fromhex(id)).decode())
    parsed = json_format.ParseDict(plain, message())
    if binary != parsed:
        sys.exit(f"the encodings differ:\n{binary}\n{parsed}")
    shown = json_format.MessageToDict(binary, use_integers_for_enums=True)
    print(json.dumps(converted(shown, lambda id: base64.b64decode(id).hex())))


main()

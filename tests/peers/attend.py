"""Poses as a node: attend.py HOST:PORT JSON... sends these AttendRequests over ferry.v1.MembershipService/Attend.

Prints one JSON object: the answers until the first refusal, and that refusal's `code` and `details`; `code` is OK when the
server had nothing against it. `{"raw": "HEX"}` instead of a request sends those bytes as they are.
"""

import json
import sys
import threading

import grpc
from google.protobuf import json_format

from dynamic import LIMIT_SECONDS, Server, tell


def main():
    address, *texts = sys.argv[1:]
    server = Server(address)
    message, response = server.messages("ferry.v1.MembershipService", "Attend")
    call = server.channel.stream_stream(
        "/ferry.v1.MembershipService/Attend",
        request_serializer=lambda bytes_: bytes_,
        response_deserializer=response.FromString,
    )

    def encode(text):
        fields = json.loads(text)
        if "raw" in fields:
            return bytes.fromhex(fields["raw"])
        return json_format.ParseDict(fields, message()).SerializeToString()

    done = threading.Event()

    def requests():
        yield from [encode(text) for text in texts]
        # Half-closing says goodbye: the server's verdict comes first, or the limit.
        done.wait(LIMIT_SECONDS)

    seen = {"answers": [], "code": "OK", "details": ""}
    try:
        for answer in call(requests(), timeout=LIMIT_SECONDS):
            seen["answers"].append(json_format.MessageToDict(answer))
            if len(seen["answers"]) >= len(texts):
                break
    except grpc.RpcError as refusal:
        seen["code"] = refusal.code().name
        seen["details"] = refusal.details()
    done.set()
    tell(seen)


main()

"""What a stranger sees of a gRPC server: inspect_server.py HOST:PORT [SERVICE METHOD [JSON]] prints one JSON object."""

import sys

from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dynamic import LIMIT_SECONDS, Server, services_by_v1, tell


def main():
    address, *call = sys.argv[1:]
    server = Server(address)
    health = health_pb2_grpc.HealthStub(server.channel)
    status = health.Check(health_pb2.HealthCheckRequest(), timeout=LIMIT_SECONDS).status
    seen = {
        "v1alpha": server.services(),
        "v1": services_by_v1(server.channel),
        "health": health_pb2.HealthCheckResponse.ServingStatus.Name(status),
    }
    if call:
        service, method, *request = call
        unary, message = server.unary(service, method)
        question = json_format.Parse(request[0] if request else "{}", message())
        seen["answer"] = json_format.MessageToDict(unary(question, timeout=LIMIT_SECONDS))
    tell(seen)


main()

"""A gRPC client that knows no .proto: it asks the server's reflection what there is, and speaks that."""

import faulthandler
import json
import os

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

LIMIT_SECONDS = 10

# Reflection's own calls have no limit: a peer that hangs says where, and ends.
faulthandler.dump_traceback_later(2 * LIMIT_SECONDS, exit=True)


def tell(seen):
    """Prints the result and ends at once: grpcio now and then locks itself up when the interpreter takes it apart."""
    print(json.dumps(seen), flush=True)
    os._exit(0)


def services_by_v1(channel):
    """v1 has v1alpha's messages under another service name; grpcio's own client speaks only v1alpha."""
    stream = channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    answer = next(stream(iter([ask]), timeout=LIMIT_SECONDS))
    return sorted(service.name for service in answer.list_services_response.service)


class Server:
    """One server, seen through its reflection."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)

    def services(self):
        return sorted(self.database.get_services())

    def messages(self, service, name):
        """The classes of a method's request and response."""
        method = self.pool.FindServiceByName(service).FindMethodByName(name)
        return tuple(message_factory.GetMessageClass(kind) for kind in (method.input_type, method.output_type))

    def unary(self, service, name):
        """A callable for a unary method, and its request's class."""
        request, response = self.messages(service, name)
        call = self.channel.unary_unary(
            f"/{service}/{name}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        return call, request

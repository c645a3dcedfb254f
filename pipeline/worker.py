"""The command `imageshards-worker`: starts one Beam worker on a machine of a cluster, where there is no Docker.

A runner calls it by the container contract (Apache Beam's "boot" program): it is told where to ask for the job's
options, and becomes the worker that runs them. The code it runs is what is installed here; nothing is downloaded.
Source: beam/sdks/python/container/boot.go and beam_provision_api.proto.
"""

import argparse
import os
import sys
import tempfile

import grpc
from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc, endpoints_pb2
from apache_beam.runners.worker.worker_id_interceptor import WorkerIdInterceptor
from google.protobuf import json_format, text_format

_ENDPOINTS = ("logging", "artifact", "provision", "control")


def main() -> None:
    """Asks for the job's options and replaces this process with the worker."""
    parser = argparse.ArgumentParser(prog="imageshards-worker", description=__doc__)
    parser.add_argument("--id", required=True, help="the worker's name")
    parser.add_argument("--provision_endpoint", required=True, metavar="HOST:PORT", help="who knows the job's options")
    for name in _ENDPOINTS:
        if name != "provision":
            parser.add_argument(f"--{name}_endpoint", default="", metavar="HOST:PORT")
    told, _ = parser.parse_known_args([argument.replace("'", "") for argument in sys.argv[1:]])  # Prism quotes values
    channel = grpc.intercept_channel(grpc.insecure_channel(told.provision_endpoint), WorkerIdInterceptor(told.id))
    request = beam_provision_api_pb2.GetProvisionInfoRequest()
    info = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel).GetProvisionInfo(request, timeout=60).info
    environment = {
        **os.environ,
        "WORKER_ID": told.id,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "LOGGING_API_SERVICE_DESCRIPTOR": _descriptor(info.logging_endpoint.url or told.logging_endpoint),
        "CONTROL_API_SERVICE_DESCRIPTOR": _descriptor(info.control_endpoint.url or told.control_endpoint),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
        "SEMI_PERSISTENT_DIRECTORY": tempfile.gettempdir(),
    }
    if info.status_endpoint.url:
        environment["STATUS_API_SERVICE_DESCRIPTOR"] = _descriptor(info.status_endpoint.url)
    command = [sys.executable, "-P", "-m", "apache_beam.runners.worker.sdk_worker_main"]
    os.execve(sys.executable, command, environment)  # noqa: S606 (it is to become the worker)


def _descriptor(url: str) -> str:
    return str(text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=url)))


if __name__ == "__main__":
    main()

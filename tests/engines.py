"""Flink and Spark on this machine, each with Beam's job server, from jars that Maven fetches once: 152 and 251 MB.

A test combination: Beam runners for which Maven has plain jars. Users take the engines that Beam supports today.
"""

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

JARS = Path(__file__).parents[1] / "build/engines"
FLINK_RETRIES = 3
"""How often Flink begins a job again; the flag number_of_execution_retries of Beam's job server does nothing here."""

_READY_SECONDS = 180
_STOP_SECONDS = 15
_FETCH_SECONDS = 900

_FLINK = ("org.apache.beam:beam-runners-flink-1.16:2.50.0", "org.slf4j:slf4j-simple:1.7.30")
_SPARK = (
    "org.apache.beam:beam-runners-spark-3:2.45.0",
    "org.apache.spark:spark-core_2.12:3.5.7",
    "org.apache.spark:spark-streaming_2.12:3.5.7",
    "com.fasterxml.jackson.core:jackson-core:2.15.2",  # Spark's own; Beam's runner would bring older ones
    "org.slf4j:slf4j-api:2.0.7",
)

# What Java 17 must open to them, and no distribution's script is there to say so.
_EXPORTS = ("sun.net.util", "sun.nio.ch")
_OPENS = (
    *(
        "java.io",
        "java.lang",
        "java.lang.invoke",
        "java.lang.reflect",
        "java.net",
        "java.nio",
        "java.text",
        "java.time",
    ),
    *("java.util", "java.util.concurrent", "java.util.concurrent.atomic"),
    *("sun.nio.ch", "sun.nio.cs", "sun.security.action", "sun.util.calendar"),
)

# Flink wants to be told every size when it is not started by its own scripts.
_FLINK_SETTINGS = f"""\
restart-strategy: fixed-delay
restart-strategy.fixed-delay.attempts: {FLINK_RETRIES}
restart-strategy.fixed-delay.delay: 2 s
classloader.resolve-order: parent-first
heartbeat.interval: 3000
heartbeat.timeout: 15000
slot.request.timeout: 60000
taskmanager.numberOfTaskSlots: 1
taskmanager.cpu.cores: 1
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.task.heap.size: 200m
taskmanager.memory.framework.off-heap.size: 128m
taskmanager.memory.task.off-heap.size: 0b
taskmanager.memory.managed.size: 128m
taskmanager.memory.network.min: 64m
taskmanager.memory.network.max: 64m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 192m
taskmanager.memory.jvm-overhead.max: 192m
jobmanager.rpc.address: 127.0.0.1
jobmanager.bind-host: 127.0.0.1
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
"""


@dataclasses.dataclass
class Cluster:
    """A running cluster. `parts` are its Java processes by name; what a part starts knows that name as WORKER_OF."""

    folder: Path
    jars: Path
    environment: Mapping[str, str]
    endpoint: str = ""
    parts: dict[str, subprocess.Popen[bytes]] = dataclasses.field(default_factory=dict)

    def start(self, name: str, megabytes: int, main: str, *arguments: str, settings: tuple[str, ...] = ()) -> None:
        """Starts a part in a process group of its own, to which its workers belong."""
        opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENS]
        opened += [f"--add-exports=java.base/{package}=ALL-UNNAMED" for package in _EXPORTS]
        java = ["nice", "java", *opened, f"-Xmx{megabytes}m", *settings, "-cp", f"{self.jars}/*", main, *arguments]
        with self.log(name).open("wb") as log:
            self.parts[name] = subprocess.Popen(
                java,
                env={**self.environment, "WORKER_OF": name},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log(self, name: str) -> Path:
        """Returns where a part writes what it does."""
        return self.folder / f"{name}.log"

    def kill(self, name: str) -> None:
        """Ends a part at once, with its workers, as when a machine fails."""
        os.killpg(self.parts[name].pid, signal.SIGKILL)
        self.parts.pop(name).wait()

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Returns when `ready` is true; raises where a part ended before, or it takes too long."""
        deadline = time.monotonic() + _READY_SECONDS
        while not ready():
            ended = [name for name, part in self.parts.items() if part.poll() is not None]
            if ended or time.monotonic() > deadline:
                logs = [f"{name}: {self.log(name).read_text()[-2000:]}" for name in ended or self.parts]
                raise RuntimeError("\n".join(["the cluster does not start", *logs]))
            time.sleep(0.5)

    def stop(self) -> None:
        """Ends all parts, the newest first."""
        for part in reversed(self.parts.values()):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(part.pid, signal.SIGTERM)
        for part in self.parts.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                part.wait(_STOP_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(part.pid, signal.SIGKILL)
            part.wait()


def what_is_missing() -> str:
    """Returns why no cluster can be started here; nothing where one can."""
    if not (shutil.which("java") and shutil.which("mvn")):
        return "needs Java and Maven, which are not installed"
    return ""


@contextlib.contextmanager
def flink(folder: Path, environment: Mapping[str, str], workers: int = 2) -> Iterator[Cluster]:
    """Runs a JobManager, TaskManagers of one slot each, and a job server, until the block ends."""
    rpc, rest, blob, *job = _free_ports(6)
    (folder / "tmp").mkdir(parents=True)
    ports = f"jobmanager.rpc.port: {rpc}\nrest.port: {rest}\nblob.server.port: {blob}\nio.tmp.dirs: {folder}/tmp\n"
    (folder / "flink-conf.yaml").write_text(_FLINK_SETTINGS + ports)
    cluster = Cluster(folder, _jars("flink", _FLINK), environment, f"127.0.0.1:{job[0]}")
    configuration = ("--configDir", str(folder))
    runtime = "org.apache.flink.runtime"
    try:
        cluster.start("jobmanager", 500, f"{runtime}.entrypoint.StandaloneSessionClusterEntrypoint", *configuration)
        for number in range(1, workers + 1):
            local = ("-D", "taskmanager.host=127.0.0.1", "-D", "taskmanager.bind-host=127.0.0.1")
            main = f"{runtime}.taskexecutor.TaskManagerRunner"
            cluster.start(f"worker{number}", 400, main, *configuration, *local)
        main = "org.apache.beam.runners.flink.FlinkJobServerDriver"
        cluster.start("jobserver", 400, main, f"--flink-master=127.0.0.1:{rest}", *_job_server(job, folder))
        cluster.wait_until(lambda: f'"taskmanagers":{workers},' in _answer(rest, "/overview") and _listens(job[0]))
        yield cluster
    finally:
        cluster.stop()


@contextlib.contextmanager
def spark(folder: Path, environment: Mapping[str, str], workers: int = 2) -> Iterator[Cluster]:
    """Runs a master, workers of one core each, and a job server, which is Spark's driver, until the block ends."""
    port, web, *job = _free_ports(5)
    master = f"spark://127.0.0.1:{port}"
    jars = _jars("spark", _SPARK)
    folder.mkdir(parents=True)
    local = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "127.0.0.1", "SPARK_SCALA_VERSION": "2.12"}
    cluster = Cluster(folder, jars, {**environment, **local, "SPARK_HOME": str(jars.parent)}, f"127.0.0.1:{job[0]}")
    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.executor.memory": "500m",
        "spark.local.dir": folder,
        "spark.ui.enabled": "false",
    }
    given = tuple(f"-D{name}={value}" for name, value in settings.items())
    try:
        here = ("--host", "127.0.0.1")
        main = "org.apache.spark.deploy.master.Master"
        cluster.start("master", 300, main, *here, "--port", str(port), "--webui-port", str(web), settings=given)
        for number in range(1, workers + 1):
            size = ("--cores", "1", "--memory", "600m", "--webui-port", "0", "--work-dir", str(folder / f"{number}"))
            main = "org.apache.spark.deploy.worker.Worker"
            cluster.start(f"worker{number}", 300, main, *here, *size, master, settings=given)
        main = "org.apache.beam.runners.spark.SparkJobServerDriver"
        served = _job_server(job, folder)
        cluster.start("jobserver", 600, main, f"--spark-master-url={master}", *served, settings=given)
        cluster.wait_until(lambda: f'"aliveworkers":{workers},' in _answer(web, "/json/") and _listens(job[0]))
        yield cluster
    finally:
        cluster.stop()


def _jars(name: str, wanted: tuple[str, ...]) -> Path:
    """Returns the folder of these jars and all that they need; fetches them where they are not there."""
    jars = JARS / name / "jars"
    whole = jars.with_name("whole")
    if not whole.exists():
        jars.parent.mkdir(parents=True, exist_ok=True)
        parts = [dict(zip(("groupId", "artifactId", "version"), jar.split(":"), strict=True)) for jar in wanted]
        needs = "".join(
            f"<dependency>{''.join(f'<{tag}>{text}</{tag}>' for tag, text in part.items())}</dependency>"
            for part in parts
        )
        pom = jars.with_name("pom.xml")
        pom.write_text(
            "<project><modelVersion>4.0.0</modelVersion><groupId>imageshards</groupId>"
            f"<artifactId>{name}</artifactId><version>1</version><dependencies>{needs}</dependencies></project>"
        )
        fetch = ["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime"]
        subprocess.run([*fetch, f"-DoutputDirectory={jars}"], check=True, timeout=_FETCH_SECONDS)
        whole.touch()
    return jars


def _job_server(ports: list[int], folder: Path) -> list[str]:
    job, artifact, expansion = ports
    served = [f"--job-port={job}", f"--artifact-port={artifact}", f"--expansion-port={expansion}"]
    return ["--job-host=127.0.0.1", *served, f"--artifacts-dir={folder}/artifacts"]


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def _answer(port: int, path: str) -> str:
    """Returns what a web service says, without spaces; nothing where it does not answer yet."""
    try:
        answer: IO[bytes]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return "".join(answer.read().decode().split())
    except OSError:
        return ""


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":  # python tests/engines.py flink spark: fetches their jars and nothing else
    for wanted in sys.argv[1:]:
        _jars(wanted, {"flink": _FLINK, "spark": _SPARK}[wanted])

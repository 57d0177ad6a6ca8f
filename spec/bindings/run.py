#!/usr/bin/python3
"""The specs of the real bindings, against private servers.

    run.py BUILD_FOLDER [PATH...]     default: every *_spec.lua beside this file
"""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/lib"))
import stack  # noqa: E402

HERE = pathlib.Path("spec/bindings")


def run_specs(build, paths, postgres, redis, kafka):
    environment = {
        **os.environ,
        "RESULT_AGGREGATOR_SERVICE_DATABASE_URL": postgres.url(),
        "REDIS_URL": redis.url,
        "KAFKA_BOOTSTRAP_SERVERS": kafka.brokers,
        "SCRIPTS_ROOT": str(HERE / "scripts"),
        "SQL_ROOT": str(HERE / "sql"),
    }
    return subprocess.run([build / "aggregator", "test", "--real", *paths], cwd=ROOT,
                          env=environment, check=False).returncode


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    paths = sys.argv[2:] or [str(HERE)]
    with tempfile.TemporaryDirectory(prefix="aggregator-spec.") as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)  # Postgres runs as another user
        postgres = stack.Postgres(folder / "postgres")
        redis = stack.Redis(folder / "redis")
        kafka = stack.EmbeddedKafka(folder / "kafka", build, names=["spec.records"], partitions=1)
        try:
            postgres.start()
            redis.start()
            kafka.start()
            return run_specs(build, paths, postgres, redis, kafka)
        finally:
            for server in (kafka, redis, postgres):
                server.stop()
            postgres.remove()


if __name__ == "__main__":
    sys.exit(main())

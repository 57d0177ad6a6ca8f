"""machine: a bare Debian 12 with a systemd of its own, to install the package into: a container of
systemd-nspawn in a folder. It has the network of this machine, so servers on loopback serve it. Needs
root, mmdebstrap and systemd-container.
"""
import pathlib
import subprocess

import stack

# systemd-nspawn needs the one hierarchy of control groups, whatever this machine has mounted.
START = """
if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then mount -t cgroup2 none /sys/fs/cgroup; fi
exec systemd-nspawn --quiet --register=no --keep-unit --resolv-conf=copy-host --console=pipe \
  --directory="$1" --bind="$2":/var/cache/apt/archives --boot
"""


def make_base(path, package="systemd-sysv"):
    """The essential packages, apt and that package, as a tar file; once."""
    if not path.exists():
        draft = path.with_suffix(".new.tar")
        subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={package}",
                        "bookworm", draft], check=True)
        draft.rename(path)
    return path


class Machine(stack.Process):
    """`base`: make_base's file. `archives`: a folder that keeps downloaded packages."""

    def __init__(self, folder, base, archives):
        super().__init__(folder)
        self.root, self.base, self.archives = self.folder / "root", base, archives
        self.leader = None

    def start(self):
        self.root.mkdir()
        subprocess.run(["tar", "-xf", self.base, "-C", self.root], check=True)
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        (self.archives / "partial").mkdir(parents=True, exist_ok=True)
        self.spawn(["unshare", "--mount", "bash", "-ec", START, "bash", self.root, self.archives])
        self.wait_ready(self.find_leader)
        self.wait_ready(lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip()
                        in ("running", "degraded"))
        return self

    def find_leader(self):
        """Whether the machine's first process runs: the only child of the one that was spawned."""
        found = subprocess.run(["pgrep", "--parent", str(self.process.pid), "--exact", "systemd"],
                               capture_output=True, text=True, check=False).stdout.split()
        self.leader = found[0] if found else None
        return bool(found)

    def run(self, *command, check=True, **options):
        """A command as root of the machine; the completed process, with text output."""
        entry = ["nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--pid", "--root",
                 "--wd", "--", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                 "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"]
        done = subprocess.run([*entry, *map(str, command)], capture_output=True, text=True, check=False,
                              **options)
        if check and done.returncode != 0:
            journal = self.run("journalctl", "--no-pager", "--lines=30", check=False).stdout
            raise AssertionError(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}\n{journal}")
        return done

    def install(self, *packages):
        """Installs packages of the archive by name, and files of this machine by path."""
        copies = [pathlib.Path("/root") / path.name for path in packages if isinstance(path, pathlib.Path)]
        for path in (p for p in packages if isinstance(p, pathlib.Path)):
            (self.root / "root" / path.name).write_bytes(path.read_bytes())
        names = [name for name in packages if not isinstance(name, pathlib.Path)]
        return self.run("apt-get", "install", "-y", "--no-install-recommends", *copies, *names)

"""The receiving end of systemd's protocol: a datagram socket of the test's."""
import array
import os
import socket
import struct
import threading

from stack import wait_until


class ServiceManager:
    """The receiving end of NOTIFY_SOCKET."""

    def __init__(self, path, cleanup):
        self.messages, self.env = [], {"NOTIFY_SOCKET": str(path)}
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        cleanup.callback(self.socket.close)
        self.socket.bind(str(path))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        # A full queue would block the sender, and sd_notify_barrier waits for the reader.
        self.reader = threading.Thread(target=self.read_all)
        self.reader.start()
        cleanup.callback(self.end)

    def take(self, data, ancillary):
        """The fields of a message, and its sender's `pid`."""
        fields = dict(line.split("=", 1) for line in data.decode().splitlines() if line)
        for _, kind, payload in ancillary:
            if kind == socket.SCM_CREDENTIALS:
                fields["pid"] = struct.unpack("3i", payload)[0]
            elif kind == socket.SCM_RIGHTS:  # of sd_notify_barrier, which waits for the end
                for descriptor in array.array("i", payload):
                    os.close(descriptor)
        self.messages.append(fields)

    def read_all(self):
        while data := self.socket.recvmsg(4096, 1024):
            if not data[0]:
                return
            self.take(*data[:2])

    def end(self):
        self.socket.shutdown(socket.SHUT_RD)
        self.reader.join()

    def read(self):
        """All messages so far."""
        return list(self.messages)

    def wait_for(self, **wanted):
        """The first message with these fields."""
        def found():
            return [message for message in self.read() if wanted.items() <= message.items()]
        return wait_until(f"the message {wanted}", found)[0]

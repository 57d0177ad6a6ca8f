"""Sends record batches as raw bytes of Kafka's protocol, for content that no producer sends. The
embedded broker stores any bytes."""
import socket
import struct


def _crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC32C = _crc32c_table()


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = CRC32C[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def batch(records, count, attributes=0, crc_error=0):
    """A batch of version 2. `records`: their bytes, in whatever form. attributes: 0 to 4 name a
    codec that Kafka knows."""
    body = struct.pack(">hiqqqhii", attributes, count - 1, 1764938400000, 1764938400000, -1, -1, -1,
                       count) + records
    head = struct.pack(">ibI", -1, 2, crc32c(body) ^ crc_error)
    return struct.pack(">qi", 0, len(head) + len(body)) + head + body


def _string(text):
    return struct.pack(">h", len(text)) + text.encode()


def publish(brokers, topic, partition, data):
    """Sends one Produce request to the one broker there is, and returns once it has it."""
    host, port = brokers.split(",")[0].rsplit(":", 1)
    request = (struct.pack(">hhi", 0, 3, 1) + _string("raw") + struct.pack(">hhii", -1, -1, 10000, 1)
               + _string(topic) + struct.pack(">iii", 1, partition, len(data)) + data)
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        answer = connection.makefile("rb")
        length, = struct.unpack(">i", answer.read(4))
        body = answer.read(length)
    # correlation, topics, name, partitions, partition: then the error
    error, = struct.unpack_from(">h", body, 4 + 4 + 2 + len(topic) + 4 + 4)
    assert error == 0, f"the broker refuses the batch: error {error}"

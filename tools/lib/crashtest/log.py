"""Reads Kafka's log, with which the view is compared."""
import collections

import confluent_kafka
from confluent_kafka import TopicPartition

from .producer import QUIET

Record = collections.namedtuple("Record", "topic partition offset key value")


def open_reader(brokers):
    return confluent_kafka.Consumer({
        "bootstrap.servers": brokers, "group.id": "crashtest", "enable.auto.commit": False,
        "enable.partition.eof": True, **QUIET})


def end_offsets(reader, topics, partitions, timeout_s=30):
    """{(topic, partition): offset after its last record}"""
    return {(topic, number): reader.get_watermark_offsets(TopicPartition(topic, number),
                                                          timeout=timeout_s)[1]
            for topic in topics for number in range(partitions)}


def read_all(reader, ends):
    """Every record up to the given ends."""
    left = {place for place, end in ends.items() if end > 0}
    reader.assign([TopicPartition(topic, number, 0) for topic, number in left])
    records = []
    while left:
        message = reader.poll(30)
        if message is None:
            raise AssertionError(f"Kafka's log cannot be read: {sorted(left)}")
        place = (message.topic(), message.partition())
        if not message.error():
            records.append(Record(*place, message.offset(), message.key() or b"",
                                  message.value() or b""))
        elif message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
            left.discard(place)
    reader.unassign()
    return records

"""Reads the published messages from Kafka and compares them with the outbox."""
import collections
import json

import confluent_kafka
import outgoing_forms
from confluent_kafka import TopicPartition

READ_LIMIT_S = 30

# key and identity are text, value is bytes; headers: (name, text), sorted.
Message = collections.namedtuple("Message", "topic key identity value headers")


def text_of(data):
    return data.decode() if isinstance(data, bytes) else data


def ends(consumer):
    """{(topic, partition): offset after its last record} of those of the topics that exist."""
    known = consumer.list_topics(timeout=READ_LIMIT_S).topics
    return {(topic, number): consumer.get_watermark_offsets(TopicPartition(topic, number),
                                                            timeout=READ_LIMIT_S)[1]
            for topic in outgoing_forms.TOPICS if topic in known
            for number in known[topic].partitions}


class Reader:
    """Reads on from where it stopped; in order of each partition."""

    def __init__(self, brokers):
        self.consumer = confluent_kafka.Consumer({
            "bootstrap.servers": brokers, "group.id": "published", "enable.auto.commit": False,
            "enable.partition.eof": True, "log_level": 0, "error_cb": lambda _: None,
            "fetch.wait.max.ms": 50})
        self.places = {}  # (topic, partition): offset of the next record

    def close(self):
        self.consumer.close()

    def read(self):
        """New records since the last call, as Messages."""
        left = {place for place, end in ends(self.consumer).items()
                if end > self.places.get(place, 0)}
        self.consumer.assign([TopicPartition(*place, self.places.get(place, 0)) for place in left])
        messages = []
        while left:
            record = self.consumer.poll(READ_LIMIT_S)
            if record is None:
                raise AssertionError(f"Kafka's log cannot be read: {sorted(left)}")
            place = (record.topic(), record.partition())
            if not record.error():
                messages.append(message_of(record))
                self.places[place] = record.offset() + 1
            elif record.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                left.discard(place)
        self.consumer.unassign()
        return messages


def message_of(record):
    headers = tuple(sorted((name, text_of(value)) for name, value in record.headers() or []))
    return Message(record.topic(), text_of(record.key()), dict(headers).get("event_id"),
                   record.value() or b"", headers)


ROWS = "SELECT topic, key, identity, value, headers, state FROM aggregator_state.outbox ORDER BY id"


def rows_of(rows):
    """Of the rows that ROWS gives: (messages of the outbox in its order, their states)."""
    return ([Message(topic, key, identity, bytes(value), tuple(sorted(headers.items())))
             for topic, key, identity, value, headers, _ in rows],
            [state for *_, state in rows])


def batch_of(message):
    return json.loads(message.value)["data"]["batch_id"]


def content(message):
    """What a message says beside its id."""
    value = json.loads(message.value)
    value.pop("event_id", None)
    return message.topic, message.key, json.dumps(value, sort_keys=True)


def each_has_one(pairs, said):
    known, found = {}, []
    for one, other in pairs:
        if known.setdefault(one, other) != other:
            found.append(said.format(one))
    return found


def check_forms(messages):
    return [f"{message.topic} {message.key} {message.identity}: {problem}" for message in messages
            for problem in outgoing_forms.problems(message.topic, message.key, message.value,
                                                   dict(message.headers))]


def check_ids(messages):
    """An id has one content, and a content one id."""
    return each_has_one(((message.identity, message) for message in messages),
                        "the id {} has two contents") + \
        each_has_one(((content(message), message.identity) for message in messages),
                     "two ids say {}")


def check_stored(messages, stored, states):
    """Every message is a row of the outbox, and every row was published."""
    known, sent = set(stored), set(messages)
    return [f"{state}, not sent: {message}" for message, state in zip(stored, states)
            if state != "sent"] + \
        [f"published, and no transaction stored it: {message}" for message in messages
         if message not in known] + \
        [f"sent, and not in Kafka: {message}" for message in stored if message not in sent]


def check_order(messages, stored):
    """Without repetitions, the messages of a batch are in the order of the outbox."""
    places = {message.identity: place for place, message in enumerate(stored)}
    last, found = {}, []
    for message in dict.fromkeys((m.topic, m.key, m.identity) for m in messages):
        topic, key, identity = message
        place = places.get(identity, -1)
        # a teacher's messages belong to many batches, which commit in any order
        if topic != outgoing_forms.NOTIFIED and place < last.get((topic, key), -1):
            found.append(f"{topic} {key}: {identity} came after what followed it")
        last[topic, key] = place
    return found


def check(messages, rows):
    """Problems of the messages in Kafka and the outbox's rows (ROWS)."""
    stored, states = rows_of(rows)
    return check_forms(messages) + check_ids(messages) + \
        check_stored(messages, stored, states) + check_order(messages, stored)


def repeats(messages):
    """Number of repeated messages."""
    return len(messages) - len({message.identity for message in messages})

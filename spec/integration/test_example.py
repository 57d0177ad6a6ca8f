"""examples/fleet: another service on the same program, from telemetry to responses, streams and messages.
Its tests share one process and one stream of telemetry."""
import contextlib
import datetime
import http.client
import json
import re
import subprocess
import sys
import threading
import uuid

import psycopg2
import pytest
import live_page
import stack
from browser import Browser
from openapi import check_document
from stack import ROOT, wait_until

FOLDER = ROOT / "examples/fleet"
HEADERS = json.loads((FOLDER / "run.json").read_text())["headers"]
EVENTS = 2000
pytestmark = pytest.mark.xdist_group("example")


def telemetry():
    """The records of the generator; all facts are younger than outbox.horizon_hours."""
    done = subprocess.run([sys.executable, FOLDER / "generate.py", "--events", str(EVENTS), "--seed", "11",
                           "--hours", "3"], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def version(event):
    return event["time"], event["id"]


class Model:
    """What the events mean, said once more: newest and first values by vehicle and trip."""

    def __init__(self, records):
        self.newest, self.first = {}, {}
        for event in (record["value"] for record in records):
            data = event["data"]
            key = (event["type"].split(".")[1:-1][-1], data.get("trip_id") if ".trip." in event["type"]
                   else data["vehicle_id"])
            self.newest[key] = max(self.newest.get(key, event), event, key=version)
            self.first[key] = min(self.first.get(key, event), event, key=version)

    def of(self, kind):
        return {key: event for (each, key), event in self.newest.items() if each == kind}

    def trips(self):
        """(id, start event, end event or None) by time of the start."""
        ends = self.of("ended")
        return [(trip, self.first["started", trip], ends.get(trip))
                for trip in sorted(self.of("started"), key=lambda trip: version(self.first["started", trip]))]

    def vehicle(self, key):
        about = {kind: self.newest.get((kind, key)) for kind in ("registered", "changed", "reported")}
        state, position = about["changed"], about["reported"]
        under_way = [{"trip_id": trip, "started_at": start["time"]} for trip, start, end in self.trips()
                     if start["data"]["vehicle_id"] == key and not end]
        return about["registered"]["data"] | {
            "state": state and state["data"]["state"], "state_since": state and state["time"],
            "odometer_km": state and state["data"]["odometer_km"],
            "driver_ids": sorted({start["data"]["driver_id"] for _, start, _ in self.trips()
                                  if start["data"]["vehicle_id"] == key}),
            "position": position and {"at": position["time"]} | {
                name: position["data"][name]
                for name in ("latitude", "longitude", "speed_kmh", "heading_deg")},
            "trip": under_way[-1] if under_way else None}


class Fleet:
    """The service, its servers, and the model of what it has read."""

    def __init__(self, folder, build, database_url, redis, kafka):
        self.build, self.kafka, self.database_url = build, kafka, database_url
        self.folder = folder
        self.program = stack.OtherAggregator(folder, build, FOLDER,
                                             (database_url, redis.url, kafka.brokers), HEADERS)
        self.published = 0

    def publish(self, records):
        """Returns when all are committed."""
        path = self.folder / f"{uuid.uuid4()}.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        stack.feed(self.build, self.kafka.brokers, str(path))
        self.published += len(records)
        self.wait_handled(self.published)

    def wait_handled(self, count):
        wait_until(f"{count} events", lambda: self.program.metric("ras_messages_processed_total") >= count)

    def get(self, path):
        status, body, _ = self.program.get(path)
        return status, json.loads(body)

    def post(self, path, body, **headers):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.program.port)) as client:
            client.request("POST", path, json.dumps(body),
                           HEADERS | {"Content-Type": "application/json"} | headers)
            answer = client.getresponse()
            return answer.status, json.loads(answer.read()), answer.headers

    def query(self, sql, *parameters):
        with psycopg2.connect(self.database_url) as connection, connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall()

    def sent(self, topic):
        """The data of the messages that Kafka has, in the order of the outbox."""
        return [json.loads(bytes(value))["data"] for value, in self.query(
            "SELECT value FROM aggregator_state.outbox WHERE topic = %s AND state = 'sent' ORDER BY id",
            topic)]


@pytest.fixture(scope="module")
def fleet(build, postgres_url, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet")
    with contextlib.ExitStack() as cleanup:
        redis, kafka = stack.Redis(folder), stack.EmbeddedKafka(folder, build, stack.topics_of(FOLDER))
        for server in (redis, kafka):
            cleanup.callback(server.stop)
            server.start()
        made = Fleet(folder, build, stack.create_database(postgres_url, f"fleet_{uuid.uuid4().hex}"),
                     redis, kafka)
        made.program.command("migrate")
        cleanup.callback(made.program.stop)
        made.program.start()
        records = telemetry()
        made.model = Model(records)
        made.publish(records)
        yield made


def telemetry_event(topic, minute, **data):
    """An event of today, `minute` minutes into an hour that has passed."""
    at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=2)
    at = at.replace(minute=0, second=0, microsecond=0) + datetime.timedelta(minutes=minute)
    return {"topic": topic, "key": data["vehicle_id"], "value": {
        "specversion": "1.0", "id": str(uuid.uuid4()), "type": topic, "source": "/test",
        "time": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "data": data}}


def position(vehicle_id, minute, latitude=57.5):
    return telemetry_event("fleet.position.reported.v1", minute, vehicle_id=vehicle_id, latitude=latitude,
                           longitude=12.0, speed_kmh=0, heading_deg=90)


@pytest.mark.parametrize("depot", ["north", "south"])
def test_a_depot_has_the_newest_of_each_vehicle(fleet, depot):
    status, answer = fleet.get(f"/v1/depots/{depot}/vehicles")
    known = {key: event for key, event in fleet.model.of("registered").items()
             if event["data"]["depot_id"] == depot}
    assert status == 200
    assert [one for one in answer["vehicles"] if one["vehicle_id"] in known] == [
        fleet.model.vehicle(key) for key in sorted(known)]


def test_pages_of_trips_have_each_trip_once_newest_first(fleet):
    expected = [trip for trip, start, _ in reversed(fleet.model.trips())
                if start["data"]["vehicle_id"] == "truck-01"]
    assert len(expected) > 1
    found, after = [], ""
    while after is not None:
        status, page = fleet.get(f"/v1/vehicles/truck-01/trips?limit=1{after and '&after=' + after}")
        assert status == 200, page
        found += [trip["trip_id"] for trip in page["trips"]]
        after = page["next"]
    assert found == expected
    assert fleet.get("/v1/vehicles/truck-01/trips?lmit=1")[0] == 400


def test_the_export_of_a_depot_has_its_ended_trips(fleet):
    depot_of = {key: event["data"]["depot_id"] for key, event in fleet.model.of("registered").items()}
    status, body, headers = fleet.program.get("/v1/depots/south/trips")
    assert (status, headers["Content-Type"]) == (200, "application/x-ndjson")
    assert {line["trip_id"]: line["distance_km"] for line in map(json.loads, body.splitlines())} == {
        trip: end["data"]["distance_km"] for trip, start, end in fleet.model.trips()
        if end and depot_of[start["data"]["vehicle_id"]] == "south"}


def test_each_completed_trip_is_published_once(fleet):
    expected = {trip: end["data"]["distance_km"] for trip, _, end in fleet.model.trips() if end}
    assert len(expected) > 3
    wait_until("the messages", lambda: len(fleet.sent("fleet.trip.completed.v1")) >= len(expected))
    messages = fleet.sent("fleet.trip.completed.v1")
    assert {one["trip_id"]: one["distance_km"] for one in messages} == expected
    assert len(messages) == len(expected)


def test_a_vehicle_that_idles_for_ten_minutes_is_published_once(fleet):
    truck = str(uuid.uuid4())
    idle = telemetry_event("fleet.vehicle.state.changed.v1", 0, vehicle_id=truck, state="idle",
                           odometer_km=1)
    fleet.publish([idle, position(truck, 9)])
    fleet.publish([position(truck, 11)])
    fleet.publish([position(truck, 12), idle])

    def sent():
        return [one for one in fleet.sent("fleet.vehicle.idles.v1") if one["vehicle_id"] == truck]
    wait_until("the message", sent)
    wait_until("no marks", lambda: not fleet.query("SELECT 1 FROM aggregator_state.reaction_marks"))
    assert sent() == [
        {"vehicle_id": truck, "idle_since": idle["value"]["time"]}]


def test_a_position_that_no_vehicle_can_have_is_rejected(fleet):
    truck = str(uuid.uuid4())
    fleet.publish([position(truck, 1, latitude=912.0)])
    assert fleet.get(f"/v1/vehicles/{truck}") == (404, {"error": "Vehicle not found"})
    detail, = fleet.query("SELECT reason, detail FROM aggregator_state.rejected_events "
                          "WHERE position(%s IN convert_from(raw, 'UTF8')) > 0", truck)
    assert detail[0] == "out_of_range" and "data.latitude" in detail[1]


def test_a_registered_vehicle_joins_its_depot(fleet):
    van = {"vehicle_id": f"van-{uuid.uuid4().hex[:8]}", "plate": "VAN 001", "depot_id": "north"}
    path = f"/v1/vehicles/{van['vehicle_id']}"
    assert fleet.get(path)[0] == 404
    first = fleet.post("/v1/vehicles", van, **{"Idempotency-Key": van["vehicle_id"]})
    assert (first[0], first[2]["Location"]) == (202, path), first
    fleet.published += 1
    wait_until("the vehicle", lambda: fleet.get(path)[0] == 200)
    assert fleet.get(path)[1]["plate"] == "VAN 001"
    listed = fleet.get("/v1/depots/north/vehicles")[1]["vehicles"]
    assert van["vehicle_id"] in [one["vehicle_id"] for one in listed]
    again = fleet.post("/v1/vehicles", van, **{"Idempotency-Key": van["vehicle_id"]})
    assert again[:2] == first[:2]
    fleet.published += 1
    other = fleet.post("/v1/vehicles", van | {"plate": "OTHER"}, **{"Idempotency-Key": van["vehicle_id"]})
    assert (other[0], other[1]["error"]) == (422, "Idempotency-Key was used for another vehicle")
    assert fleet.post("/v1/vehicles", van)[0] == 400


def test_a_stream_tells_of_a_vehicle_that_moves(fleet):
    truck = str(uuid.uuid4())
    fleet.publish([position(truck, 1)])
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", fleet.program.port, timeout=120)) as client:
        client.request("GET", f"/v1/vehicles/{truck}/events?answer=true", headers=HEADERS)
        stream = client.getresponse()

        def next_position():
            data = next(line for line in iter(stream.readline, b"") if line.startswith(b"data: "))
            return json.loads(data[6:])["answer"]["position"]["latitude"]

        assert next_position() == 57.5
        fleet.publish([position(truck, 2, latitude=58.25)])
        assert next_position() == 58.25


def test_the_view_matches_the_log(fleet):
    fleet.publish([position(str(uuid.uuid4()), 1, latitude=912.0)])
    said = fleet.program.command("verify").stdout
    assert re.search(r"^(1 event of the log was|\d+ events of the log were) rejected$", said, re.M), said
    assert said.endswith("the view matches the log\n"), said


def test_its_page_shows_the_depots_and_each_change(fleet, cleanup):
    server = live_page.Server(0, f"127.0.0.1:{fleet.program.port}", FOLDER / "board.html", HEADERS)
    cleanup.callback(server.server_close)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cleanup.callback(server.shutdown)
    browser = Browser(f"http://127.0.0.1:{server.server_port}")
    cleanup.callback(browser.quit)
    browser.driver.get(browser.origin)
    browser.wait("td", "truck-02")
    joined = str(uuid.uuid4())
    fleet.publish([telemetry_event("fleet.vehicle.registered.v1", 0, vehicle_id=joined, plate="NEW 1",
                                   depot_id="north")])
    browser.wait("td", joined)
    assert browser.problems() == []


def test_its_api_is_described_with_its_own_names(fleet):
    about = json.loads(fleet.program.get("/openapi.json")[1])
    check_document(about)
    assert about["info"]["title"] == "Fleet"
    assert about["paths"]["/v1/vehicles"]["post"]["operationId"] == "register_vehicle"
    export = about["paths"]["/v1/depots/{depot_id}/trips"]["get"]
    assert list(export["responses"]["200"]["content"]) == ["application/x-ndjson"]
    assert "304" not in export["responses"]
    assert {"X-API-Key", "X-Caller"} <= {scheme["name"] for scheme in
                                         about["components"]["securitySchemes"].values()}


def test_check_finds_nothing_but_the_short_key(fleet):
    found = json.loads(fleet.program.command("check", "--format=json").stdout)
    texts = [finding["text"] for finding in found["findings"] if finding["level"] != "good"]
    assert [text for text in texts if "fewer than 16 bytes" not in text] == []

#!/usr/bin/python3
"""generate: prints the telemetry of a small fleet, a record a line, as `feed` and `aggregator try` read them.

    examples/fleet/generate.py --events 1000 --seed 7 >telemetry.jsonl
    examples/fleet/generate.py --speed 60 | build/feed "$(cat .run/brokers)" /dev/stdin

Vehicles drive, idle and park, and report every ten seconds. As from real units on bad networks, some events
come twice, some late, and a few have a position that no vehicle can have. --seed repeats a stream. With
--speed the first hours pass quickly, until the stream has reached the present; without it all is printed
at once."""
import argparse
import datetime
import heapq
import itertools
import json
import math
import random
import sys
import time
import uuid

STEP_S = 10
VEHICLES = 12
DEPOTS = {"north": (57.83, 12.05), "south": (57.62, 11.92)}
MODELS = ("Volvo FM Electric", "Scania P 280", "MAN TGE", "Mercedes eSprinter")
KM_OF_DEGREE = 111.32  # of latitude
TWICE, LATE, BROKEN = 0.03, 0.05, 0.001  # shares of the events
MOST_LATE_S = 300


class Vehicle:
    def __init__(self, draw, number):
        self.draw, self.number = draw, number
        self.id = f"truck-{number:02}"
        self.depot = sorted(DEPOTS)[number % len(DEPOTS)]
        self.latitude, self.longitude = DEPOTS[self.depot]
        self.heading = draw.randrange(360)
        self.odometer_km = draw.randrange(5_000, 300_000)
        self.state, self.left_s = "parked", draw.randrange(0, 600)
        self.speed = self.trip_km = 0.0
        self.trip = None

    def register(self):
        yield "fleet.vehicle.registered.v1", {
            "vehicle_id": self.id, "plate": f"FLT {100 + self.number}",
            "model": MODELS[self.number % len(MODELS)], "depot_id": self.depot}

    def enter(self, state, seconds):
        self.state, self.left_s = state, seconds
        yield "fleet.vehicle.state.changed.v1", {
            "vehicle_id": self.id, "state": state, "odometer_km": round(self.odometer_km, 3)}

    def step(self):
        """What happens in the next STEP_S seconds: pairs of a topic and the event's data."""
        self.left_s -= STEP_S
        if self.left_s <= 0:
            yield from self.change()
        if self.state == "driving":
            self.move()
        if self.state != "parked":
            yield "fleet.position.reported.v1", self.position()

    def change(self):
        if self.state == "driving":
            yield "fleet.trip.ended.v1", {"trip_id": self.trip, "vehicle_id": self.id,
                                          "distance_km": round(self.trip_km, 3)}
            self.trip, self.speed = None, 0.0
            yield from self.enter("idle", self.draw.choice((60, 120, 300, 900)))
        elif self.state == "idle":
            yield from self.enter("parked", self.draw.randrange(120, 1800))
        else:
            self.trip, self.trip_km = str(draw_uuid(self.draw)), 0.0
            yield "fleet.trip.started.v1", {"trip_id": self.trip, "vehicle_id": self.id,
                                            "driver_id": f"driver-{self.draw.randrange(1, 30)}"}
            yield from self.enter("driving", self.draw.randrange(300, 2400))

    def move(self):
        self.speed = min(max(self.speed + self.draw.uniform(-15, 20), 5), 110)
        self.heading = (self.heading + self.draw.randrange(-20, 21)) % 360
        km = self.speed * STEP_S / 3600
        self.latitude += km * math.cos(math.radians(self.heading)) / KM_OF_DEGREE
        self.longitude += (km * math.sin(math.radians(self.heading)) /
                           (KM_OF_DEGREE * math.cos(math.radians(self.latitude))))
        self.odometer_km += km
        self.trip_km += km

    def position(self):
        broken = self.draw.random() < BROKEN
        data = {"vehicle_id": self.id, "latitude": 912.0 if broken else round(self.latitude, 6),
                "longitude": round(self.longitude, 6), "speed_kmh": round(self.speed, 1),
                "heading_deg": self.heading}
        return data | ({"trip_id": self.trip} if self.trip else {})


def draw_uuid(draw):
    return uuid.UUID(int=draw.getrandbits(128), version=4)


def record(draw, topic, data, at_s):
    """A record as `feed` reads it; the value is a CloudEvent."""
    at = datetime.datetime.fromtimestamp(at_s, datetime.timezone.utc)
    return {"topic": topic, "key": data["vehicle_id"], "value": {
        "specversion": "1.0", "id": str(draw_uuid(draw)), "type": topic,
        "source": f"/units/{data['vehicle_id']}", "time": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "correlationid": str(draw_uuid(draw)), "datacontenttype": "application/json", "data": data}}


def happenings(draw, began_s):
    """Pairs of a moment and a record, in order, for ever."""
    vehicles = [Vehicle(draw, number) for number in range(1, VEHICLES + 1)]
    for vehicle in vehicles:
        for topic, data in vehicle.register():
            yield began_s, record(draw, topic, data, began_s)
    for step in itertools.count(1):
        for vehicle in vehicles:
            at_s = began_s + step * STEP_S + vehicle.number * STEP_S / (VEHICLES + 1)
            for happened, (topic, data) in enumerate(vehicle.step()):
                moment_s = at_s + happened / 1000
                yield moment_s, record(draw, topic, data, moment_s)


def arrivals(draw, began_s):
    """The same as it arrives: some twice, some late."""
    waiting, number = [], itertools.count()
    for at_s, sent in happenings(draw, began_s):
        late_s = draw.uniform(0, MOST_LATE_S) if draw.random() < LATE else 0
        heapq.heappush(waiting, (at_s + late_s, next(number), sent))
        if draw.random() < TWICE:
            heapq.heappush(waiting, (at_s + draw.uniform(0, MOST_LATE_S), next(number), sent))
        while waiting and waiting[0][0] <= at_s:
            arrived_s, _, sent = heapq.heappop(waiting)
            yield arrived_s, sent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, help="how many; default: endless")
    parser.add_argument("--seed", type=int, help="of the random decisions; default: another each time")
    parser.add_argument("--hours", type=float, default=6, help="how far back it begins; default: 6")
    parser.add_argument("--start", type=datetime.datetime.fromisoformat,
                        help="when it begins, such as 2026-03-02T08:00:00+00:00, instead of --hours")
    parser.add_argument("--speed", type=float, help="seconds of the stream in a second, in the past")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    began_s = options.start.timestamp() if options.start else time.time() - options.hours * 3600
    clock_s = time.monotonic()
    for at_s, sent in itertools.islice(arrivals(draw, began_s), options.events):
        if options.speed:
            due_s = max((at_s - began_s) / options.speed - (time.monotonic() - clock_s),
                        at_s - time.time())
            time.sleep(max(due_s, 0))
        print(json.dumps(sent), flush=bool(options.speed))


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        sys.stderr.close()  # the reader has gone: nothing more to say

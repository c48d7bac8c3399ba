"""
What bitmapist sends, in bitmapist's order, checked against a model of Python sets: `bitmapist.py PORT SCENARIO SEED`.

mark_event is MULTI, some SETBIT, EXEC; an operation is MULTI, BITOP, EXPIRE, EXEC and then BITCOUNT; users are read with GET
and a walk over the bytes. Everything is in database 1. A failure is an AssertionError.
"""

import random
import sys

import redis

DATABASE = 1
PREFIX = "trackist"
OPERATION_SECONDS = 60
USERS = 20000
WEEKS = 6


def event_key(name, period):
    return "%s_%s_%s" % (PREFIX, name, period)


class Events:
    """bitmapist in miniature. `model` holds what must be in the server: a set of users per key."""

    def __init__(self, port):
        self.redis = redis.Redis(host="127.0.0.1", port=port, db=DATABASE)
        self.model = {}

    def mark_event(self, name, user, week, day, unique=False):
        keys = [
            event_key(name, "2026-%d" % (1 + week // 4)),
            event_key(name, "W2026-%d" % week),
            event_key(name, "2026-%d-%d" % (1 + week // 4, day)),
            event_key(name, "2026-%d-%d-12" % (1 + week // 4, day)),
        ]
        if unique:
            keys.append(event_key(name, "u"))
        with self.redis.pipeline() as pipe:
            for key in keys:
                pipe.setbit(key, user, 1)
            replies = pipe.execute()
        # SETBIT answers what the bit was.
        assert replies == [1 if user in self.model.get(key, ()) else 0 for key in keys], replies
        for key in keys:
            self.model.setdefault(key, set()).add(user)

    def unmark_event(self, name, user, week):
        key = event_key(name, "W2026-%d" % week)
        with self.redis.pipeline() as pipe:
            pipe.setbit(key, user, 0)
            assert pipe.execute() == [1 if user in self.model.get(key, ()) else 0]
        self.model.setdefault(key, set()).discard(user)

    def week(self, name, week):
        return event_key(name, "W2026-%d" % week)

    def operation(self, operator, *keys):
        """Returns the key of the result, as BitOpAnd(...) and the like do, which may be an operand of the next one."""
        target = "%s_bitop_%s_%s" % (PREFIX, operator, "-".join(keys))
        with self.redis.pipeline() as pipe:
            pipe.bitop(operator, target, *keys)
            pipe.expire(target, OPERATION_SECONDS)
            length, expires = pipe.execute()
        assert length == max(self.redis.strlen(key) for key in keys), length
        # Nothing was made, and nothing can expire, where all sources were missing.
        assert expires == (length > 0), (length, expires)
        self.model[target] = self.combined(operator, [self.model.get(key, set()) for key in keys], length)
        return target

    @staticmethod
    def combined(operator, sets, length):
        if operator == "AND":
            return set.intersection(*map(set, sets))
        if operator == "OR":
            return set.union(*map(set, sets))
        if operator == "XOR":
            result = set()
            for users in sets:
                result ^= users
            return result
        return set(range(length * 8)) - sets[0]

    def count(self, key):
        return self.redis.bitcount(key)

    def user_ids(self, key):
        data = self.redis.get(key)
        if data is None:
            return []
        return [n * 8 + bit for n, byte in enumerate(data) if byte for bit in range(8) if byte & (0x80 >> bit)]

    def check(self, key):
        users = self.model.get(key, set())
        assert self.count(key) == len(users), key
        assert self.user_ids(key) == sorted(users), key

    def check_all(self):
        for key in self.model:
            self.check(key)

    def marked(self, dice, events, per_week):
        for name in events:
            for week in range(WEEKS):
                for _ in range(per_week):
                    self.mark_event(name, dice.randrange(USERS), week, 1 + dice.randrange(28), dice.random() < 0.3)
        return self


def mark(events, dice):
    events.marked(dice, ["active", "paid"], 40)
    for user in range(0, USERS, 7):
        events.mark_event("first", user, 1, 1)
        if user > 1000:
            break
    for _ in range(50):
        events.unmark_event("active", dice.randrange(USERS), dice.randrange(WEEKS))
    for user in list(events.model[events.week("active", 2)])[:10]:
        events.unmark_event("active", user, 2)
        assert events.redis.getbit(events.week("active", 2), user) == 0
    events.check_all()
    for user in range(200):
        for week in range(WEEKS):
            key = events.week("active", week)
            assert events.redis.getbit(key, user) == (1 if user in events.model.get(key, ()) else 0)


def operations(events, dice):
    events.marked(dice, ["active", "paid", "left"], 60)
    keys = [events.week(name, week) for name in ("active", "paid", "left") for week in range(WEEKS)]
    for operator in ("AND", "OR", "XOR"):
        for size in (1, 2, 3, 5):
            events.check(events.operation(operator, *dice.sample(keys, size)))
    events.check(events.operation("NOT", keys[0]))
    events.check(events.operation("AND", keys[0], "%s_missing_W2026-1" % PREFIX))
    events.check(events.operation("OR", "%s_missing_W2026-1" % PREFIX, "%s_missing_W2026-2" % PREFIX))
    assert 0 < events.redis.ttl(events.operation("AND", keys[0], keys[1])) <= OPERATION_SECONDS


def nested(events, dice):
    events.marked(dice, ["active", "paid", "left"], 80)
    active, paid, left = ([events.week(name, week) for week in range(WEEKS)] for name in ("active", "paid", "left"))
    both = events.operation("AND", active[0], paid[0])
    either = events.operation("OR", both, events.operation("AND", active[1], paid[1]))
    without = events.operation("AND", either, events.operation("NOT", left[0]))
    odd = events.operation("XOR", without, active[2], both)
    for key in (both, either, without, odd):
        events.check(key)
    # A source that changes afterwards does not change what was computed from it.
    before = events.user_ids(odd)
    for user in range(100):
        events.mark_event("active", user, 2, 1)
    assert events.user_ids(odd) == before and events.count(odd) == len(before)
    # Computed anew under the same name, it does.
    again = events.operation("XOR", without, active[2], both)
    assert again == odd
    events.check(again)


def cohort(events, dice):
    events.marked(dice, ["registered", "active"], 300)
    size = 5
    table, expected = [], []
    for row in range(size):
        first = events.week("registered", row)
        line, model_line = [events.count(first)], [len(events.model[first])]
        for column in range(size):
            week = events.week("active", (row + column) % WEEKS)
            line.append(events.count(events.operation("AND", first, week)))
            model_line.append(len(events.model[first] & events.model[week]))
        table.append(line)
        expected.append(model_line)
    assert table == expected, (table, expected)
    assert sum(map(sum, table)) > 0
    # The same by one command.
    rows = [events.week("registered", row) for row in range(size)]
    columns = [events.week("active", week % WEEKS) for week in range(2 * size - 1)]
    reply = events.redis.execute_command(
        "COHORT", "ROWS", size, *rows, "COLUMNS", len(columns), *columns, "STEPS", size
    )
    assert reply[0::2] == [row.encode() for row in rows] and reply[1::2] == expected, (reply, expected)
    # As the cohort page does when it is done.
    events.redis.delete(*events.redis.keys("%s_bitop_*" % PREFIX))
    assert events.redis.keys("%s_bitop_*" % PREFIX) == []


def listing(events, dice):
    events.marked(dice, ["active", "paid"], 30)
    for week in range(WEEKS):
        assert events.redis.exists(events.week("active", week)) == 1
    assert events.redis.exists(events.week("never", 1)) == 0
    everything = {key.encode() for key in events.model}
    assert set(events.redis.keys("%s_*" % PREFIX)) == everything
    for count in (1, 10, 1000):
        assert set(events.redis.scan_iter("%s_*" % PREFIX, count=count)) == everything
    paid = {key for key in everything if key.startswith(b"trackist_paid_W")}
    assert set(events.redis.scan_iter("%s_paid_W*" % PREFIX, count=7)) == paid
    cursor, seen = 0, []
    while True:
        cursor, page = events.redis.scan(cursor, match="%s_*" % PREFIX, count=5)
        seen += page
        if cursor == 0:
            break
    assert set(seen) == everything


def deletion(events, dice):
    events.marked(dice, ["active", "paid"], 30)
    for week in range(WEEKS):
        events.operation("AND", events.week("active", week), events.week("paid", week))
    other = redis.Redis(host="127.0.0.1", port=events.redis.connection_pool.connection_kwargs["port"], db=0)
    other.set("trackist_elsewhere", "x")
    events.redis.set("unrelated", "x")

    temporary = events.redis.keys("%s_bitop_*" % PREFIX)
    assert len(temporary) == WEEKS and events.redis.delete(*temporary) == WEEKS
    for key in [key for key in events.model if "_bitop_" in key]:
        del events.model[key]
    events.check_all()

    everything = events.redis.keys("%s_*" % PREFIX)
    assert len(everything) == len(events.model)
    assert events.redis.delete(*everything) == len(everything)
    assert events.redis.keys("%s_*" % PREFIX) == []
    assert events.redis.keys("*") == [b"unrelated"] and other.get("trackist_elsewhere") == b"x"
    assert events.count(events.week("active", 1)) == 0 and events.user_ids(events.week("active", 1)) == []


def fill(events, dice):
    """First half of a restart: the same seed must be given to `verify`."""
    events.marked(dice, ["active", "paid"], 50)
    events.operation("AND", events.week("active", 1), events.week("paid", 1))
    events.redis.save()


def verify(events, dice):
    """Second half: the model is made again from the seed, without a word to the server."""
    server = events.redis
    events.redis = Silent(events.model)
    events.marked(dice, ["active", "paid"], 50)
    events.redis = server
    events.check_all()
    key = "%s_bitop_AND_%s-%s" % (PREFIX, events.week("active", 1), events.week("paid", 1))
    users = events.model[events.week("active", 1)] & events.model[events.week("paid", 1)]
    assert events.user_ids(key) == sorted(users)
    assert 0 < server.ttl(key) <= OPERATION_SECONDS
    assert server.dbsize() == len(events.model) + 1


class Silent:
    """Answers SETBIT from the model alone."""

    def __init__(self, model):
        self.model = model
        self.replies = []

    def pipeline(self):
        return self

    def __enter__(self):
        self.replies = []
        return self

    def __exit__(self, *_):
        pass

    def setbit(self, key, user, _value):
        self.replies.append(1 if user in self.model.get(key, ()) else 0)

    def execute(self):
        return self.replies


SCENARIOS = {
    "mark": mark,
    "operations": operations,
    "nested": nested,
    "cohort": cohort,
    "listing": listing,
    "deletion": deletion,
    "fill": fill,
    "verify": verify,
}

if __name__ == "__main__":
    port_number, scenario, seed = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    tracked = Events(port_number)
    if scenario != "verify":
        tracked.redis.flushall()
    SCENARIOS[scenario](tracked, random.Random(seed))

"""redis-py with its defaults: one scenario per call, `redis_py.py PORT SCENARIO`. A failure is an AssertionError."""

import sys
import time

import redis


def connect(port, **options):
    return redis.Redis(host="127.0.0.1", port=port, **options)


def raises(call, text):
    try:
        call()
    except redis.RedisError as error:
        assert text in str(error), error
        return
    raise AssertionError("no error, but expected: " + text)


def bits(port):
    r = connect(port)
    assert r.ping() is True
    assert r.setbit("k", 7, 1) == 0
    assert r.setbit("k", 7, True) == 1
    assert r.setbit("k", 100000, 1) == 0
    assert r.getbit("k", 7) == 1 and r.getbit("k", 8) == 0
    assert r.bitcount("k") == 2
    assert r.bitcount("k", 0, 0) == 1
    assert r.bitcount("k", 0, 7, "BIT") == 1
    assert r.bitpos("k", 1) == 7
    assert r.bitpos("k", 1, 1) == 100000
    assert r.strlen("k") == 12501
    assert r.bitop("NOT", "n", "k") == 12501
    assert r.bitcount("n") == 12501 * 8 - 2


def channels(port):
    r = connect(port)
    r.config_set("notify-keyspace-events", "Eg$x")
    subscriber = r.pubsub(ignore_subscribe_messages=True)
    subscriber.subscribe("news")
    subscriber.psubscribe("__keyevent@0__:*")
    # The subscriptions are made when their confirmations are read.
    while subscriber.subscribed and r.pubsub_numsub("news") != [(b"news", 1)]:
        subscriber.get_message(timeout=1)
    assert r.publish("news", b"\x00\xff") == 1
    r.setbit("k", 7, 1)
    r.set("e", 1, px=10)
    r.delete("k")
    heard = []
    while len(heard) < 6:
        message = subscriber.get_message(timeout=10)
        if message is not None:
            heard.append((message["type"], message["channel"], message["data"]))
    assert heard[0] == ("message", b"news", b"\x00\xff"), heard
    events = [(channel.split(b":")[1], key) for _, channel, key in heard[1:]]
    assert events[:3] == [(b"setbit", b"k"), (b"set", b"e"), (b"expire", b"e")], events
    assert sorted(events[3:]) == [(b"del", b"k"), (b"expired", b"e")], events
    assert r.pubsub_channels() == [b"news"] and r.pubsub_numpat() == 1
    subscriber.unsubscribe()
    subscriber.punsubscribe()
    subscriber.close()
    r.config_set("notify-keyspace-events", "")
    with r.monitor() as monitor:
        r.echo("seen")
        command = monitor.next_command()
        assert command["command"] == "ECHO seen" and command["db"] == 0, command


def strings(port):
    r = connect(port)
    every = bytes(range(256))
    assert r.set(every, every) is True
    assert r.get(every) == every
    assert r.getrange(every, 250, -1) == every[250:]
    assert r.get("missing") is None
    assert r.mset({"a": "abc", "b": b"\xff"}) is True
    assert r.mget("a", "missing", "b") == [b"abc", None, b"\xff"]
    assert r.set("a", "x", nx=True) is None
    assert r.set("a", "x", xx=True, ex=100) is True
    assert 90 < r.ttl("a") <= 100
    assert r.set("a", "y", keepttl=True) and r.ttl("a") > 90
    assert r.set("a", "z", get=True) == b"y" and r.ttl("a") == -1
    decoded = connect(port, decode_responses=True)
    decoded.set("umlaut", "\u00e4")
    assert decoded.get("umlaut") == "\u00e4" and r.get("umlaut") == b"\xc3\xa4"


def keys(port):
    r = connect(port)
    r.mset({"a:1": 1, "a:2": 2, "b:1": 3})
    assert sorted(r.keys("a:*")) == [b"a:1", b"a:2"]
    assert sorted(r.scan_iter("*:1", count=1)) == [b"a:1", b"b:1"]
    assert r.exists("a:1", "a:1", "none") == 2
    assert "a:1" in r and "none" not in r
    assert r.type("a:1") == b"string"
    assert r.rename("a:1", "c") is True
    raises(lambda: r.rename("none", "c"), "no such key")
    assert r.copy("c", "d") is True
    assert r.delete("c", "d", "none") == 2
    assert r.expire("a:2", 50) is True and r.expire("none", 50) is False
    assert r.persist("a:2") is True and r.ttl("a:2") == -1 and r.ttl("none") == -2
    assert r.pexpire("a:2", 20) is True
    time.sleep(0.05)
    assert r.exists("a:2") == 0
    assert r.dbsize() == 1 and r.randomkey() == b"b:1"
    assert r.flushdb() is True and r.dbsize() == 0


def transactions(port):
    r = connect(port)
    with r.pipeline() as pipe:
        assert pipe.setbit("k", 1, 1).setbit("k", 2, 1).bitcount("k").execute() == [0, 0, 2]
    with r.pipeline(transaction=False) as pipe:
        for i in range(1000):
            pipe.setbit("many", i, 1)
        assert pipe.execute() == [0] * 1000
    with r.pipeline() as pipe:
        pipe.watch("k")
        r.setbit("k", 3, 1)
        pipe.multi()
        pipe.set("k", "x")
        try:
            pipe.execute()
            raise AssertionError("no WatchError")
        except redis.WatchError:
            pass
    with r.pipeline() as pipe:
        pipe.set("k", "v").setbit("k", -1, 1)
        raises(pipe.execute, "bit offset is not an integer or out of range")
    assert r.get("k") == b"v"


    def increment(pipe):
        value = int(pipe.get("t") or 0)
        pipe.multi()
        pipe.set("t", value + 1)

    assert r.transaction(increment, "t") == [True] and r.transaction(increment, "t") == [True]
    assert r.get("t") == b"2"


def connection(port):
    r = connect(port, db=1, client_name="tester")
    assert r.client_getname() in ("tester", b"tester")
    r.set("k", "one")
    assert connect(port).get("k") is None
    assert r.echo("x") == b"x"
    assert r.info()["redis_version"].startswith("7.")
    assert r.info("keyspace")["db1"]["keys"] == 1
    assert int(r.config_get("databases")["databases"]) == 16
    assert any(c["name"] == "tester" and c["db"] == "1" for c in r.client_list())
    assert r.save() is True
    assert abs(time.time() - r.lastsave().timestamp()) < 60
    seconds, microseconds = r.time()
    assert abs(time.time() - seconds) < 60 and 0 <= microseconds < 1000000
    raises(lambda: r.execute_command("NOSUCH"), "unknown command 'NOSUCH'")
    raises(lambda: r.lpush("list", 1), "unknown command 'LPUSH'")
    pool = redis.BlockingConnectionPool(host="127.0.0.1", port=port, max_connections=3)
    clients = [redis.Redis(connection_pool=pool) for _ in range(10)]
    assert all(c.ping() for c in clients)
    url = redis.from_url("redis://127.0.0.1:%d/1" % port)
    assert url.get("k") == b"one"


def password(port):
    raises(lambda: connect(port).ping(), "Authentication required")
    raises(lambda: connect(port, password="wrong").ping(), "invalid username-password pair")
    assert connect(port, password="secret").ping() is True
    assert connect(port, username="default", password="secret").ping() is True


if __name__ == "__main__":
    port_number = int(sys.argv[1])
    scenario = sys.argv[2]
    if scenario != "password":
        connect(port_number).flushall()
    {
        "bits": bits,
        "channels": channels,
        "strings": strings,
        "keys": keys,
        "transactions": transactions,
        "connection": connection,
        "password": password,
    }[scenario](port_number)

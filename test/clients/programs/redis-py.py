"""redis-py: `python3 redis-py.py TRANSPORT WHERE CA PROTOCOL`."""

import sys

import redis

transport, where, ca, protocol = sys.argv[1:]

# [connect]
address = {
    "tcp": {"host": "127.0.0.1", "port": where},
    "tls": {"host": "127.0.0.1", "port": where, "ssl": True, "ssl_ca_certs": ca},
    "unix": {"unix_socket_path": where},
}[transport]
if protocol != "default":
    address["protocol"] = int(protocol)  # since redis-py 5
client = redis.Redis(**address)
# [/connect]

EVERY_BYTE = bytes(range(256))


def check(reply, expected):
    if reply != expected:
        raise AssertionError("%r instead of %r" % (reply, expected))


def passed(step):
    print("ok " + step, flush=True)


print("version " + redis.__version__, flush=True)
client.flushall()

check(client.setbit("k", 7, 1), 0)
check(client.setbit("k", 7, 1), 1)
check(client.setbit("k", 100000, 1), 0)
check([client.getbit("k", 7), client.getbit("k", 8)], [1, 0])
check(client.bitcount("k"), 2)
passed("bits")

check(client.set("a", "abc"), True)
check(client.set("b", "ab"), True)
check(client.bitop("AND", "and", "a", "b"), 3)
check(client.get("and"), b"ab\0")
passed("bitop")

check(client.set(EVERY_BYTE, EVERY_BYTE), True)
check(client.get(EVERY_BYTE), EVERY_BYTE)
check(client.get("missing"), None)
passed("bytes")

check(client.expire("k", 100), True)
check(client.ttl("k") > 90, True)
check(client.persist("k"), True)
check(client.ttl("k"), -1)
passed("deadlines")

client.mset({"p:1": 1, "p:2": 2, "q:1": 3})
check(sorted(client.keys("p:*")), [b"p:1", b"p:2"])
check(sorted(client.scan_iter("?:1", count=1)), [b"p:1", b"q:1"])
check(client.delete("p:1", "p:2", "missing"), 2)
passed("keys")

with client.pipeline() as pipe:
    check(pipe.setbit("t", 1, 1).setbit("t", 2, 1).bitcount("t").execute(), [0, 0, 2])
passed("transaction")

with client.pipeline(transaction=False) as pipe:
    for bit in range(1000):
        pipe.setbit("many", bit, 1)
    check(pipe.execute(), [0] * 1000)
check(client.bitcount("many"), 1000)
passed("pipeline")

try:
    client.setbit("k", -1, 1)
    raise AssertionError("no error")
except redis.ResponseError as error:
    check(str(error), "bit offset is not an integer or out of range")
check(client.ping(), True)
passed("error")

subscriber = client.pubsub()
subscriber.subscribe("news")
check(subscriber.get_message(timeout=10)["type"], "subscribe")
check(client.publish("news", EVERY_BYTE), 1)
check(subscriber.get_message(timeout=10)["data"], EVERY_BYTE)
subscriber.unsubscribe("news")
check(subscriber.get_message(timeout=10)["type"], "unsubscribe")
subscriber.close()
passed("channels")

# In two words it is not taken apart.
print("self " + client.execute_command("CLIENT", "INFO").decode())

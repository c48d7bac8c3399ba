<?php
// phpredis: `php phpredis.php TRANSPORT WHERE CA PROTOCOL`.
// A warning of PHP's is a failure too.
set_error_handler(function ($level, $text) { throw new ErrorException($text); });

[, $transport, $where, $ca] = $argv;

function open($transport, $where, $ca) {
    // [connect]
    $client = new Redis();
    if ($transport === "tcp") $client->connect("127.0.0.1", (int)$where);
    if ($transport === "tls") {
        $client->connect("tls://127.0.0.1", (int)$where, 0, null, 0, 0, ["stream" => ["cafile" => $ca]]);
    }
    if ($transport === "unix") $client->connect($where);
    // [/connect]
    return $client;
}

function is($reply, $expected) {
    if ($reply !== $expected) throw new Exception(json_encode($reply) . " instead of " . json_encode($expected));
}

function sorted($list) {
    sort($list);
    return $list;
}

$every_byte = implode("", array_map("chr", range(0, 255)));
$client = open($transport, $where, $ca);
if (($argv[5] ?? "") === "publish") {
    while ($client->publish("news", $every_byte) === 0) usleep(5000);
    exit;
}
echo "version ", phpversion("redis"), "\n";
is($client->flushAll(), true);

is($client->setBit("k", 7, true), 0);
is($client->setBit("k", 7, true), 1);
is($client->setBit("k", 100000, true), 0);
is([$client->getBit("k", 7), $client->getBit("k", 8)], [1, 0]);
is($client->bitCount("k"), 2);
echo "ok bits\n";

is($client->set("a", "abc"), true);
is($client->set("b", "ab"), true);
is($client->bitOp("AND", "and", "a", "b"), 3);
is($client->get("and"), "ab\0");
echo "ok bitop\n";

is($client->set($every_byte, $every_byte), true);
is($client->get($every_byte), $every_byte);
is($client->get("missing"), false);
echo "ok bytes\n";

is($client->expire("k", 100), true);
is($client->ttl("k") > 90, true);
is($client->persist("k"), true);
is($client->ttl("k"), -1);
echo "ok deadlines\n";

is($client->mSet(["p:1" => "1", "p:2" => "2", "q:1" => "3"]), true);
is(sorted($client->keys("p:*")), ["p:1", "p:2"]);
$client->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
$scanned = [];
$cursor = null;
while (($page = $client->scan($cursor, "?:1", 1)) !== false) array_push($scanned, ...$page);
is(sorted($scanned), ["p:1", "q:1"]);
is($client->del("p:1", "p:2", "missing"), 2);
echo "ok keys\n";

is($client->multi()->setBit("t", 1, true)->setBit("t", 2, true)->bitCount("t")->exec(), [0, 0, 2]);
echo "ok transaction\n";

$pipeline = $client->pipeline();
for ($bit = 0; $bit < 1000; $bit++) $pipeline->setBit("many", $bit, true);
is($pipeline->exec(), array_fill(0, 1000, 0));
is($client->bitCount("many"), 1000);
echo "ok pipeline\n";

is($client->rawCommand("SETBIT", "k", "-1", "1"), false);
is($client->getLastError(), "ERR bit offset is not an integer or out of range");
is($client->ping(), true);
echo "ok error\n";

// subscribe() waits for ever and only a message calls back: somebody else publishes, and closing the connection ends it.
$publisher = proc_open([PHP_BINARY, ...$argv, "publish"], [1 => STDERR, 2 => STDERR], $pipes);
$subscriber = open($transport, $where, $ca);
$subscriber->setOption(Redis::OPT_READ_TIMEOUT, 10);
$heard = null;
try {
    $subscriber->subscribe(["news"], function ($redis, $channel, $message) use (&$heard) {
        $heard = $message;
        $redis->unsubscribe([$channel]);
        $redis->close();
    });
} catch (RedisException $closed) {
    is($closed->getMessage(), "Connection closed");
}
is($heard, $every_byte);
is(proc_close($publisher), 0);
echo "ok channels\n";

echo "self ", $client->rawCommand("CLIENT", "INFO"), "\n";

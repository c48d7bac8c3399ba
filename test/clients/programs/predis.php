<?php
// Predis: `php predis.php TRANSPORT WHERE CA PROTOCOL`.
// A warning of PHP's is a failure too, but not that this Predis is older than this PHP.
set_error_handler(function ($level, $text) { throw new ErrorException($text); }, E_ALL & ~E_DEPRECATED);
error_reporting(E_ALL & ~E_DEPRECATED);
require "Predis/Autoloader.php";
Predis\Autoloader::register();

[, $transport, $where, $ca] = $argv;

function open($transport, $where, $ca) {
    // [connect]
    $addresses = [
        "tcp" => ["host" => "127.0.0.1", "port" => $where],
        "tls" => ["scheme" => "tls", "host" => "127.0.0.1", "port" => $where, "ssl" => ["cafile" => $ca]],
        "unix" => ["scheme" => "unix", "path" => $where],
    ];
    $client = new Predis\Client($addresses[$transport]);
    // [/connect]
    return $client;
}

function is($reply, $expected) {
    if ($reply instanceof Predis\Response\Status) $reply = $reply->getPayload();
    if ($reply !== $expected) throw new Exception(json_encode($reply) . " instead of " . json_encode($expected));
}

function sorted($list) {
    sort($list);
    return $list;
}

$every_byte = implode("", array_map("chr", range(0, 255)));
$client = open($transport, $where, $ca);
echo "version ", Predis\Client::VERSION, "\n";
is($client->flushall(), "OK");

is($client->setbit("k", 7, 1), 0);
is($client->setbit("k", 7, 1), 1);
is($client->setbit("k", 100000, 1), 0);
is([$client->getbit("k", 7), $client->getbit("k", 8)], [1, 0]);
is($client->bitcount("k"), 2);
echo "ok bits\n";

is($client->set("a", "abc"), "OK");
is($client->set("b", "ab"), "OK");
is($client->bitop("AND", "and", "a", "b"), 3);
is($client->get("and"), "ab\0");
echo "ok bitop\n";

is($client->set($every_byte, $every_byte), "OK");
is($client->get($every_byte), $every_byte);
is($client->get("missing"), null);
echo "ok bytes\n";

is($client->expire("k", 100), 1);
is($client->ttl("k") > 90, true);
is($client->persist("k"), 1);
is($client->ttl("k"), -1);
echo "ok deadlines\n";

is($client->mset(["p:1" => "1", "p:2" => "2", "q:1" => "3"]), "OK");
is(sorted($client->keys("p:*")), ["p:1", "p:2"]);
$scanned = iterator_to_array(new Predis\Collection\Iterator\Keyspace($client, "?:1", 1), false);
is(sorted($scanned), ["p:1", "q:1"]);
is($client->del("p:1", "p:2", "missing"), 2);
echo "ok keys\n";

$replies = $client->transaction(function ($transaction) {
    $transaction->setbit("t", 1, 1);
    $transaction->setbit("t", 2, 1);
    $transaction->bitcount("t");
});
is($replies, [0, 0, 2]);
echo "ok transaction\n";

$replies = $client->pipeline(function ($pipeline) {
    for ($bit = 0; $bit < 1000; $bit++) $pipeline->setbit("many", $bit, 1);
});
is($replies, array_fill(0, 1000, 0));
is($client->bitcount("many"), 1000);
echo "ok pipeline\n";

try {
    $client->setbit("k", -1, 1);
    throw new Exception("no error");
} catch (Predis\Response\ServerException $error) {
    is($error->getMessage(), "ERR bit offset is not an integer or out of range");
}
is($client->ping(), "PONG");
echo "ok error\n";

$heard = null;
$loop = open($transport, $where, $ca)->pubSubLoop();
$loop->subscribe("news");
foreach ($loop as $told) {
    if ($told->kind === "subscribe") is($client->publish("news", $every_byte), 1);
    if ($told->kind === "message") {
        $heard = $told->payload;
        $loop->unsubscribe("news");
    }
}
is($heard, $every_byte);
echo "ok channels\n";

echo "self ", $client->executeRaw(["CLIENT", "INFO"]), "\n";

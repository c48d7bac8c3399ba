# redis-rb: `ruby redis-rb.rb TRANSPORT WHERE CA PROTOCOL`.
require "redis"

TRANSPORT, WHERE, CA, _protocol = ARGV
$stdout.sync = true

def open_client
  # [connect]
  address = {
    "tcp" => { host: "127.0.0.1", port: WHERE },
    "tls" => { host: "127.0.0.1", port: WHERE, ssl: true, ssl_params: { ca_file: CA } },
    "unix" => { path: WHERE },
  }[TRANSPORT]
  client = Redis.new(**address)
  # [/connect]
  client
end

def is(reply, expected)
  raise "#{reply.inspect} instead of #{expected.inspect}" unless reply == expected
end

EVERY_BYTE = (0..255).to_a.pack("C*")
puts "version #{Redis::VERSION}"
client = open_client
is client.flushall, "OK"

is client.setbit("k", 7, 1), 0
is client.setbit("k", 7, 1), 1
is client.setbit("k", 100_000, 1), 0
is [client.getbit("k", 7), client.getbit("k", 8)], [1, 0]
is client.bitcount("k"), 2
puts "ok bits"

is client.set("a", "abc"), "OK"
is client.set("b", "ab"), "OK"
is client.bitop("AND", "and", "a", "b"), 3
is client.get("and"), "ab\0"
puts "ok bitop"

is client.set(EVERY_BYTE, EVERY_BYTE), "OK"
is client.get(EVERY_BYTE).b, EVERY_BYTE
is client.get("missing"), nil
puts "ok bytes"

is client.expire("k", 100), true
is client.ttl("k") > 90, true
is client.persist("k"), true
is client.ttl("k"), -1
puts "ok deadlines"

is client.mset("p:1", "1", "p:2", "2", "q:1", "3"), "OK"
is client.keys("p:*").sort, ["p:1", "p:2"]
is client.scan_each(match: "?:1", count: 1).sort, ["p:1", "q:1"]
is client.del("p:1", "p:2", "missing"), 2
puts "ok keys"

replies = client.multi do |transaction|
  transaction.setbit("t", 1, 1)
  transaction.setbit("t", 2, 1)
  transaction.bitcount("t")
end
is replies, [0, 0, 2]
puts "ok transaction"

replies = client.pipelined do |pipeline|
  1000.times { |bit| pipeline.setbit("many", bit, 1) }
end
is replies, [0] * 1000
is client.bitcount("many"), 1000
puts "ok pipeline"

begin
  client.setbit("k", -1, 1)
  raise "no error"
rescue Redis::CommandError => error
  is error.message, "ERR bit offset is not an integer or out of range"
end
is client.ping, "PONG"
puts "ok error"

heard = nil
subscriber = open_client
subscriber.subscribe("news") do |on|
  on.subscribe { is client.publish("news", EVERY_BYTE), 1 }
  on.message do |_channel, message|
    heard = message.b
    subscriber.unsubscribe("news")
  end
end
is heard, EVERY_BYTE
puts "ok channels"

puts "self #{client.call("CLIENT", "INFO")}"

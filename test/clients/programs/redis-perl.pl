# Redis.pm and Redis::Fast, which have the same methods: `perl redis-perl.pl MODULE TRANSPORT WHERE CA PROTOCOL`.
use strict;
use warnings FATAL => "all";

my ($module, $transport, $where, $ca) = @ARGV;
$| = 1;
eval "require $module; require IO::Socket::SSL" or die $@;

sub open_client {
    # [connect]
    my %address = (
        tcp  => { server => "127.0.0.1:$where" },
        tls  => { server => "127.0.0.1:$where", ssl => 1 },
        unix => { sock => $where },
    );
    IO::Socket::SSL::set_defaults(SSL_ca_file => $ca) if $transport eq "tls";
    my $client = $module->new(%{ $address{$transport} });
    # [/connect]
    return $client;
}

sub is {
    my ($reply, $expected) = map { defined $_ ? ref $_ ? join(" ", @$_) : $_ : "(nil)" } @_;
    die "$reply instead of $expected" unless $reply eq $expected;
}

my $every_byte = join "", map { chr } 0 .. 255;
print "version ", $module->VERSION, "\n";
my $client = open_client();
is($client->flushall, "OK");

is($client->setbit("k", 7, 1), 0);
is($client->setbit("k", 7, 1), 1);
is($client->setbit("k", 100_000, 1), 0);
is([$client->getbit("k", 7), $client->getbit("k", 8)], [1, 0]);
is($client->bitcount("k"), 2);
print "ok bits\n";

is($client->set("a", "abc"), "OK");
is($client->set("b", "ab"), "OK");
is($client->bitop("AND", "and", "a", "b"), 3);
is($client->get("and"), "ab\0");
print "ok bitop\n";

is($client->set($every_byte, $every_byte), "OK");
is($client->get($every_byte), $every_byte);
is($client->get("missing"), undef);
print "ok bytes\n";

is($client->expire("k", 100), 1);
is($client->ttl("k") > 90, 1);
is($client->persist("k"), 1);
is($client->ttl("k"), -1);
print "ok deadlines\n";

is($client->mset("p:1", 1, "p:2", 2, "q:1", 3), "OK");
is([sort $client->keys("p:*")], ["p:1", "p:2"]);
my ($cursor, @scanned) = (0);
do {
    ($cursor, my $page) = $client->scan($cursor, MATCH => "?:1", COUNT => 1);
    push @scanned, @$page;
} while ($cursor ne "0");
is([sort @scanned], ["p:1", "q:1"]);
is($client->del("p:1", "p:2", "missing"), 2);
print "ok keys\n";

is($client->multi, "OK");
is($client->setbit("t", 1, 1), "QUEUED");
is($client->setbit("t", 2, 1), "QUEUED");
is($client->bitcount("t"), "QUEUED");
is([$client->exec], [0, 0, 2]);
print "ok transaction\n";

my @replies;
for my $bit (0 .. 999) {
    $client->setbit("many", $bit, 1, sub {
        my ($reply, $error) = @_;
        die $error if defined $error;
        push @replies, $reply;
    });
}
$client->wait_all_responses;
is(\@replies, [(0) x 1000]);
is($client->bitcount("many"), 1000);
print "ok pipeline\n";

eval { $client->setbit("k", -1, 1) };
$@ =~ /ERR bit offset is not an integer or out of range/ or die "no error, or another one: $@";
is($client->ping, "PONG");
print "ok error\n";

my $heard;
my $subscriber = open_client();
my $callback = sub { $heard = shift };
$subscriber->subscribe("news", $callback);
is($client->publish("news", $every_byte), 1);
$subscriber->wait_for_messages(0.05) until defined $heard;
is($heard, $every_byte);
$subscriber->unsubscribe("news", $callback);
is($subscriber->ping, "PONG");
print "ok channels\n";

print "self ", $client->client("INFO"), "\n";

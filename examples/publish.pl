# publish.pl DATABASE - needs libdbd-sqlite3-perl
use strict;
use warnings;
use DBI;
use JSON::PP;

my $db = DBI->connect("dbi:SQLite:$ARGV[0]", "", "", { RaiseError => 1 });
$db->do("INSERT INTO event(event_type, message, body) VALUES(?, ?, ?)", undef,
	"pdfm", "VM_STATE_CHANGED", encode_json({ vm_id => "4711", from => "Perl" }));

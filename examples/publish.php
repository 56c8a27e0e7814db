<?php // publish.php DATABASE - needs php-sqlite3
$db = new PDO('sqlite:' . $argv[1]);
$insert = $db->prepare('INSERT INTO event(event_type, message, body) VALUES(?, ?, ?)');

$db->beginTransaction();
// ... what the event tells of, in the same transaction: published together, or not at all
$insert->execute(['pdfm', 'VM_STATE_CHANGED', json_encode(['vm_id' => '4711', 'from' => 'PHP'])]);
$db->commit();

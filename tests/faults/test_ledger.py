"""The judge is judged: each kind of fault that the ledger is there to find is
put before it, and found."""

import json
import types

import pytest

import ledger

ROWS = [(1, "ta", '"a1"'), (2, "tb", '"b2"'), (3, "ta", '"a3"'), (5, "tb", '"b5"'), (6, "ta", '"a6"')]


def frame(frame_id, event_type, body, client="c1", at=0.0, message=""):
    return {"id": frame_id, "event_type": event_type, "message": message, "body": body, "client": client, "at": at}


def welcome(frame_id, names, resumed, client="c1", connection=1):
    f = frame(frame_id, "global", {"client_id": client, "subscriptions": names + ["global"], "resumed": resumed}, client)
    f.update(connection=connection, asked=set(names))
    return f


def told(message, frame_id, names):
    return frame(frame_id, "system", {"event_types": ["?"], "subscriptions": names + ["global"]}, message=message)


def faults_of(frames, book=None):
    follower = types.SimpleNamespace(name="f", frames=frames, faults=[])
    return ledger.judge_follower(follower, ledger.Order(ROWS), book or empty())


def empty():
    return types.SimpleNamespace(events={}, unsubscribes=[], subscribes=[])


GOOD = [welcome("e-0.1", ["ta", "tb"], False), frame("e-1", "ta", "a1"), frame("e-2", "tb", "b2"),
        told("unsubscribed", "e-2.2", ["ta"]), frame("e-3", "ta", "a3"),
        welcome("e-3.3", ["ta"], True, "c2", 2), told("subscribed", "e-3.4", ["ta", "tb"]),
        frame("e-5", "tb", "b5"), frame("e-6", "ta", "a6")]


def test_good():
    assert faults_of(GOOD) == []


def without(n):
    return GOOD[:n] + GOOD[n + 1:]


@pytest.mark.parametrize("frames,word", [
    (without(1), "event 1 is missing before 2"),
    (without(4), "resumed at 3 instead of 2"),
    (without(7), "event 5 is missing before 6"),
    (without(6), "not subscribed"),
    (GOOD[:2] + GOOD[1:], "repeated"),
    ([GOOD[0], GOOD[2], GOOD[1]] + GOOD[3:], "out of order"),
    (GOOD[:4] + [frame("e-3", "tb", "a3")] + GOOD[5:], "not subscribed"),
    (GOOD[:4] + [frame("e-3", "ta", "other")] + GOOD[5:], "was delivered"),
    (GOOD[:7] + [frame("e-4", "tb", "b4")] + GOOD[7:], "is not in the database"),
    (GOOD[:8] + [frame("x-6", "ta", "a6")], "epoch x instead of e"),
    (GOOD[:5] + [welcome("e-3.3", ["ta"], False, "c2", 2)] + GOOD[6:], "was not granted"),
    (GOOD[:5] + [told("subscribed", "e-2.9", ["ta", "tb"])] + GOOD[7:], "behind the position"),
], ids=[f"fault{n}" for n in range(12)])
def test_bad_frames(frames, word):
    assert any(word in f for f in faults_of(frames)), faults_of(frames)


def test_after_the_200():
    book = empty()
    late = ledger.Published("b5", "tb", 2.0)
    book.events["b5"] = late
    book.unsubscribes.append(("c1", "tb", 0.5, 1.0))
    frames = [welcome("e-3.1", ["ta", "tb"], False), frame("e-5", "tb", "b5", at=3.0)]
    assert any("acknowledged unsubscribe" in f for f in faults_of(frames, book))
    book.subscribes.append(("c1", "tb", 1.5, 1.6))
    assert faults_of(frames, book) == []
    book.subscribes.clear()
    late.began = 0.9
    assert faults_of(frames, book) == []


@pytest.mark.parametrize("fate,seq,key,word", [
    (ledger.ACK, 9, "z9", "lost"),
    (ledger.ACK, 4, "a3", "was acknowledged as 4"),
    (ledger.ROLLED_BACK, None, "a3", "was rolled back and is there"),
])
def test_bad_rows(tmp_path, fate, seq, key, word):
    book = ledger.Ledger(str(tmp_path))
    assert book.judge_rows(ROWS) == []
    book.begin(key, "ta")
    book.settle(key, fate, seq)
    assert any(word in f for f in book.judge_rows(ROWS))
    assert any("stored twice" in f for f in book.judge_rows(ROWS + [(7, "ta", json.dumps("a3"))]))

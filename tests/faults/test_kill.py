"""kill -9 of any process at random moments: nothing that was acknowledged is
lost, nothing comes twice, and every start repairs what it finds."""

import time

import pytest

import procs
from sizes import size

KILLS = size("kills", 24, 500)


@pytest.mark.timeout(60 + KILLS * 4)
def test_kill_at_random_moments(make_world, figure):
    world = make_world(followers_count=16)
    world.start()
    counts = {"evhub-wsd": 0, "evhub-fcgi": 0, "publisher": 0, "starting": 0}
    choice = world.random
    for _ in range(KILLS):
        world.ending.wait(choice.uniform(0.02, 0.6))
        what = choice.random()
        if what < 0.55:
            counts["evhub-wsd"] += 1
            world.kill_wsd()
            world.ending.wait(choice.choice([0, choice.uniform(0, 0.2)]))
            while choice.random() < 0.25:  # and again while it starts
                counts["starting"] += 1
                world.start_wsd(wait=False)
                world.ending.wait(choice.uniform(0, 0.08))
                world.kill_wsd()
            world.start_wsd()
        elif what < 0.8:
            counts["evhub-fcgi"] += 1
            world.kill_fcgi()
            world.start_fcgi()
        else:
            counts["publisher"] += 1
            world.kill_sql()
            world.start_sql()
        assert not world.failures, world.failures
    world.settle()
    # what the killed ones left is gone
    hub = world.hub
    procs.wait_for(lambda: hub.value("SELECT count(*) FROM client") == 0, "rows of clients stay behind")
    assert hub.value("SELECT count(*) FROM subscription") == 0
    assert hub.value("SELECT count(*) FROM daemon") == 1
    figure(f"kill -9: {counts}; {world.judge()}")

# What goes wrong: processes that are killed, disks, clocks, networks.  Not a
# part of "make check", for it needs what check-integration needs, and root for
# some of it:
#   make check-faults PYTEST_FLAGS='-k kill'
#   make check-faults FAULTS=full
EXTRA_DIST += \
	%D%/conftest.py \
	%D%/followers.py \
	%D%/ledger.py \
	%D%/netspace.py \
	%D%/pytest.ini \
	%D%/rough_proxy.py \
	%D%/shim_clock.c \
	%D%/shim_disk.c \
	%D%/shims.py \
	%D%/sizes.py \
	%D%/sql_publisher.py \
	%D%/test_clock.py \
	%D%/test_database.py \
	%D%/test_kill.py \
	%D%/test_ledger.py \
	%D%/test_network.py \
	%D%/test_powercut.py \
	%D%/test_resources.py \
	%D%/test_soak.py \
	%D%/world.py

FAULTS = quick

check-faults: all
	EVHUB_BUILD='$(abs_top_builddir)' EVHUB_SANITIZERS='$(EVH_SANITIZERS)' FAULTS='$(FAULTS)' \
		PYTHONDONTWRITEBYTECODE=1 \
		$(PYTEST_PYTHON) -m pytest -c $(srcdir)/tests/faults/pytest.ini \
		--rootdir $(srcdir)/tests/faults -n $(PYTEST_JOBS) \
		$(PYTEST_FLAGS) $(srcdir)/tests/faults
.PHONY: check-faults

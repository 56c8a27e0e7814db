TESTS += %D%/check-includes %D%/check-promises
EXTRA_DIST += %D%/check-includes %D%/check-promises

# The units of etc/systemd/: tools/check runs these.
EXTRA_DIST += %D%/boot-units %D%/check-units %D%/probe-units.py

# The programs themselves, with web servers, websockets and the sqlite3 shell
# in front of them.  Not a part of "make check", for it needs all of those:
#   make check-integration PYTEST_FLAGS='-k unsubscribe'
EXTRA_DIST += \
	%D%/integration/api_docs.py \
	%D%/integration/asyncapi.schema.json \
	%D%/integration/browser.py \
	%D%/integration/clients.py \
	%D%/integration/conftest.py \
	%D%/integration/fronts.py \
	%D%/integration/hub.py \
	%D%/integration/lean.py \
	%D%/integration/node_client.mjs \
	%D%/integration/node_client.py \
	%D%/integration/procs.py \
	%D%/integration/publisher.py \
	%D%/integration/pytest.ini \
	%D%/integration/screenshots.py \
	%D%/integration/snippets.py \
	%D%/integration/tour.py \
	%D%/integration/test_api.py \
	%D%/integration/test_barrier.py \
	%D%/integration/test_check.py \
	%D%/integration/test_control.py \
	%D%/integration/test_dashboards.py \
	%D%/integration/test_endpoints.py \
	%D%/integration/test_examples.py \
	%D%/integration/test_jwt.py \
	%D%/integration/test_http.py \
	%D%/integration/test_http_fronts.py \
	%D%/integration/test_lifecycle.py \
	%D%/integration/test_man_pages.py \
	%D%/integration/test_logs.py \
	%D%/integration/test_limits.py \
	%D%/integration/test_messages.py \
	%D%/integration/test_privilege.py \
	%D%/integration/test_metrics.py \
	%D%/integration/test_origins.py \
	%D%/integration/test_permissions.py \
	%D%/integration/test_promises.py \
	%D%/integration/test_publish.py \
	%D%/integration/test_readme.py \
	%D%/integration/rawws.py \
	%D%/integration/test_refusals.py \
	%D%/integration/test_recipes.py \
	%D%/integration/test_resume.py \
	%D%/integration/test_rfc6455.py \
	%D%/integration/test_slow_bodies.py \
	%D%/integration/test_sql_control.py \
	%D%/integration/test_subscribe.py \
	%D%/integration/test_subprotocol.py \
	%D%/integration/test_tickets.py \
	%D%/integration/test_tls.py \
	%D%/integration/test_torture.py \
	%D%/integration/test_unsubscribe.py \
	%D%/integration/test_upgrades.py \
	%D%/integration/upgrade_sample.py \
	%D%/upgrade/v1.sql %D%/upgrade/v2.sql %D%/upgrade/v3.sql %D%/upgrade/v4.sql \
	%D%/integration/test_web_client.py \
	%D%/integration/test_web_console.py

# The Debian package on a bare system: tools/check --packages.
EXTRA_DIST += %D%/packages/check %D%/packages/boot %D%/packages/trial %D%/packages/subscriber.py

PYTEST_JOBS = 2
PYTEST_FLAGS =

check-integration: all
	EVHUB_BUILD='$(abs_top_builddir)' PYTHONDONTWRITEBYTECODE=1 \
		$(PYTEST_PYTHON) -m pytest -c $(srcdir)/tests/integration/pytest.ini \
		--rootdir $(srcdir)/tests/integration -n $(PYTEST_JOBS) \
		$(PYTEST_FLAGS) $(srcdir)/tests/integration
.PHONY: check-integration

# The pictures of the console, made anew: two minutes.
screenshots: all
	EVHUB_BUILD='$(abs_top_builddir)' PYTHONDONTWRITEBYTECODE=1 \
		$(PYTEST_PYTHON) $(srcdir)/tests/integration/screenshots.py $(srcdir)/doc
.PHONY: screenshots

include tests/unit/local.mk
include tests/faults/local.mk
include tests/bench/local.mk
include tests/scale/local.mk
include tests/fuzz/local.mk

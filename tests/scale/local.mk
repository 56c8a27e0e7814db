# What the hub costs with many clients, in instructions:  make check-scale

EXTRA_PROGRAMS += %D%/scale
CLEANFILES += %D%/scale
%C%_scale_LDADD = wsd/libevhub-wsd.a $(COMMON_LIBS)
EXTRA_DIST += %D%/run

check-scale: %D%/scale
	$(PYTEST_PYTHON) -B $(srcdir)/tests/scale/run %D%/scale
.PHONY: check-scale

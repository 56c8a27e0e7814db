# Ten lines in each language; tests/integration/test_examples.py runs them all.
examplesdir = $(docdir)/examples
dist_examples_DATA = \
	%D%/publish.c \
	%D%/publish.mjs \
	%D%/publish.php \
	%D%/publish.pl \
	%D%/publish.py \
	%D%/publish.sh \
	%D%/subscribe.mjs \
	%D%/subscribe.py

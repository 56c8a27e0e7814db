dist_man_MANS += \
	%D%/evhub.conf.5 \
	%D%/evhub.7 \
	%D%/evhub-sql.7 \
	%D%/evhub-fcgi.8 \
	%D%/evhub-wsd.8

TESTS += %D%/lint
EXTRA_DIST += %D%/lint

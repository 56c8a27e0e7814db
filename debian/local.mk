# Debian's package is made from a clone or from a release: dpkg-buildpackage.
EXTRA_DIST += \
	%D%/changelog \
	%D%/control \
	%D%/copyright \
	%D%/evhub.postinst \
	%D%/evhub.postrm \
	%D%/evhub.prerm \
	%D%/rules \
	%D%/source/format

# The browser's side.  Both folders go into one, which the web server shows as
# /evhub/: see etc/.
webdir = $(pkgdatadir)/web
dist_web_DATA = \
	%D%/evhub.js \
	%D%/evhub.d.ts \
	%D%/package.json

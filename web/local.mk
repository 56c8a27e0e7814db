# The browser's side.  Both folders go into one, which the web server shows as
# /evhub/: see etc/.
webdir = $(pkgdatadir)/web
dist_web_DATA = \
	%D%/evhub.js \
	%D%/evhub.d.ts \
	%D%/package.json \
	%D%/console/index.html \
	%D%/console/console.css \
	%D%/console/console.js \
	%D%/console/chart.js \
	%D%/console/feed.js \
	%D%/console/views.js \
	%D%/console/icon.svg

# What an operator copies; nothing here is put where a server would read it.
dist_doc_DATA += %D%/evhub.conf

lighttpdexampledir = $(docdir)/lighttpd
dist_lighttpdexample_DATA = %D%/lighttpd/evhub.conf

apacheexampledir = $(docdir)/apache
dist_apacheexample_DATA = %D%/apache/evhub.conf %D%/apache/evhub-cgi.conf

nginxexampledir = $(docdir)/nginx
dist_nginxexample_DATA = %D%/nginx/evhub.conf

systemdexampledir = $(docdir)/systemd
dist_systemdexample_DATA = \
	%D%/systemd/evhub-fcgi.service %D%/systemd/evhub-fcgi.socket \
	%D%/systemd/evhub-wsd.service %D%/systemd/evhub-wsd@.service \
	%D%/systemd/evhub.sysusers %D%/systemd/evhub.tmpfiles

# For those who watch: a dashboard, and what to scrape and when to be told.
grafanaexampledir = $(docdir)/grafana
dist_grafanaexample_DATA = %D%/grafana/evhub.json

prometheusexampledir = $(docdir)/prometheus
dist_prometheusexample_DATA = %D%/prometheus/evhub.yml %D%/prometheus/evhub.rules.yml

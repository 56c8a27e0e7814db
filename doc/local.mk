dist_doc_DATA += %D%/openapi.yaml %D%/asyncapi.yaml %D%/promises.md

# For the README; made by "make screenshots".  Not installed.
EXTRA_DIST += %D%/console-light.png %D%/console-dark.png %D%/console-clients.png %D%/console-phone.png

# How fast it is: made by "make bench" and "make bench-quick".  Not installed.
EXTRA_DIST += %D%/bench/results.md %D%/bench/results.json %D%/bench/flood.svg

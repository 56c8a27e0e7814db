dist_doc_DATA += %D%/openapi.yaml %D%/asyncapi.yaml %D%/promises.md

# For the README; made by "make screenshots".  Not installed.
EXTRA_DIST += %D%/console-light.png %D%/console-dark.png %D%/console-clients.png %D%/console-phone.png

dist_doc_DATA += %D%/openapi.yaml %D%/asyncapi.yaml %D%/promises.md


# Made by "make screenshots".
dist_doc_DATA += %D%/console-light.png %D%/console-dark.png %D%/console-clients.png %D%/console-phone.png

dist_doc_DATA += %D%/openapi.yaml %D%/asyncapi.yaml %D%/promises.md

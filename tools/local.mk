EXTRA_DIST += %D%/check %D%/quickstart %D%/common.sh .ci/run .clang-tidy

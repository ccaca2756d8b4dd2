.PHONY: test slow style types bits docs check
test: ; pytest                                  # the quick tests
slow: ; pytest -m slow                          # the long ones
style: ; ruff check --fix . && ruff format .
types: ; pyright                                 # the type checker: no errors
bits: ; cd tests && python bits.py contract     # digests: the same before and after what is not to change results
docs: ; NO_MKDOCS_2_WARNING=1 mkdocs build      # the site, in build/site; warnings are errors
check: ; .ci/run                                # everything, on a bare machine

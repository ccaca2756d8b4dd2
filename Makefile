test: ; pytest                                  # the quick tests
slow: ; pytest -m slow                          # the long ones
style: ; ruff check --fix . && ruff format .
bits: ; cd tests && python bits.py contract     # digests: the same before and after what is not to change results
check: ; .ci/run                                # everything, on a bare machine

# Defines no function that could be run.
# ends: unbuilt
# says: run
print("hello")

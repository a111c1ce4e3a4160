"""How fast it is, next to what people use instead: started by hand, never a part of the test suite."""

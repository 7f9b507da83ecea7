"""Models as estimators of other libraries, where Keras 0.1 had them."""

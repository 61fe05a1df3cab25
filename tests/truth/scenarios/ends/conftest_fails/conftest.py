from peers import alpha

alpha.ask()
raise RuntimeError("after it has sent")

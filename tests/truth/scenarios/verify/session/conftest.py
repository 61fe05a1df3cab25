from peers import alpha

alpha.ask()

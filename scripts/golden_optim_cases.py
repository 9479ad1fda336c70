"""The cases of golden_optim.py: every rule with its defaults, and every option of every rule set by some case."""

# The specs that Backflow is given; the part before the colon names the reference as well.
TRAJECTORIES = """
gd
gd:lr=0.05
gd:lr=0.05,momentum=0.5,dampening=0.2,weight_decay=0.1
gd:lr=0.05,momentum=0.7,nesterov=true
sgd
sgd:lr=0.05
sgd:lr=0.05,weight_decay=0.1
sgd:lr=0.05,momentum=0.9
sgd:lr=0.05,momentum=0.9,dampening=0.3
sgd:lr=0.05,momentum=0.9,nesterov=true
sgd:lr=0.05,momentum=0.9,weight_decay=0.1
sgd:lr=0.02,momentum=0.8,dampening=1,weight_decay=0.01
sgd:lr=0.05,momentum=0.9,nesterov=true,weight_decay=0.1
momentum
momentum:lr=0.05
momentum:lr=0.05,momentum=0.5,dampening=0.2,weight_decay=0.1
momentum:lr=0.05,momentum=0.8,nesterov=true
nesterov
nesterov:lr=0.05
nesterov:lr=0.05,momentum=0.5,weight_decay=0.1
nesterov:lr=0.02,nesterov=false,dampening=0.5
noisy-sgd:eta=0
noisy-sgd:lr=0.05,eta=0,gamma=0.3,seed=5
asgd
asgd:lr=0.05,t0=20
asgd:lr=0.05,lambd=0.1,alpha=0.5,t0=10
asgd:lr=0.05,t0=50,weight_decay=0.1
rprop
rprop:lr=0.05,eta_minus=0.3,eta_plus=1.4
rprop:lr=0.02,step_min=0.01,step_max=0.05
sign-sgd
sign-sgd:lr=0.02
signum
signum:lr=0.02,momentum=0.8
signum:lr=0.02,weight_decay=0.5
adagrad
adagrad:lr=0.1
adagrad:lr=0.1,lr_decay=0.05
adagrad:lr=0.1,weight_decay=0.1
adagrad:lr=0.1,initial_accumulator_value=0.5
adagrad:lr=0.1,eps=0.1
adadelta
adadelta:lr=5,rho=0.8
adadelta:rho=0.5,eps=0.001,weight_decay=0.1
rmsprop
rmsprop:lr=0.02
rmsprop:lr=0.02,alpha=0.9,eps=0.01
rmsprop:lr=0.01,momentum=0.5
rmsprop:lr=0.01,alpha=0.9,centered=true
rmsprop:lr=0.01,alpha=0.9,centered=true,momentum=0.5
rmsprop:lr=0.02,weight_decay=0.1
rmsprop:lr=0.01,centered=true,momentum=0.5,weight_decay=0.1
adam
adam:lr=0.05
adam:lr=0.05,beta2=0.9,amsgrad=true
adam:lr=0.05,weight_decay=0.1
adam:lr=0.05,beta1=0.5,beta2=0.9
adam:lr=0.05,beta1=0,eps=0.01
adam:lr=0.05,beta2=0.8,amsgrad=true,weight_decay=0.1
amsgrad
amsgrad:lr=0.05,beta1=0.8,beta2=0.9,eps=0.001
amsgrad:lr=0.05,beta2=0.8,weight_decay=0.1
amsgrad:lr=0.05,amsgrad=false
adamax
adamax:lr=0.05
adamax:lr=0.05,beta1=0.5,beta2=0.9,eps=0.01
adamax:lr=0.05,beta2=0.9,weight_decay=0.1
adamw
adamw:lr=0.05,weight_decay=0.1
adamw:lr=0.05,beta1=0.5,beta2=0.9,weight_decay=0.2,amsgrad=true
adamw:lr=0.05,eps=0.01,weight_decay=0
nadam
nadam:lr=0.05
nadam:lr=0.05,beta1=0.7,beta2=0.9,eps=0.01,momentum_decay=0.1
nadam:lr=0.05,weight_decay=0.1
nadam:lr=0.05,weight_decay=0.1,decoupled_weight_decay=true
radam
radam:lr=0.05
radam:lr=0.05,beta1=0.7,beta2=0.9,eps=0.01
radam:lr=0.05,beta2=0.5
radam:lr=0.05,weight_decay=0.1
radam:lr=0.05,weight_decay=0.1,decoupled_weight_decay=true
adafactor
adafactor:lr=0.05,beta2_decay=-0.5
adafactor:lr=0.5,eps1=0.3
adafactor:lr=0.05,eps2=2
adafactor:lr=0.05,d=2,weight_decay=0.1
lion
lion:lr=0.01
lion:lr=0.01,beta1=0.5,beta2=0.8,weight_decay=0.5
lion:lr=0.01,weight_decay=0
lars
lars:lr=2,trust_coefficient=0.01,momentum=0.5
lars:lr=1,trust_coefficient=0.01,nesterov=true,weight_decay=0.1
lars:lr=1,trust_coefficient=0.01,momentum=0,eps=0.5
lamb
lamb:lr=0.02
lamb:lr=0.02,beta1=0.5,beta2=0.9,eps=0.01
lamb:lr=0.02,weight_decay=0.5
muon
muon:lr=0.05
muon:lr=0.05,momentum=0.8,nesterov=false
muon:lr=0.05,ns_steps=3,eps=2
muon:lr=0.05,match_rms_adamw=true,weight_decay=0.5
muon:lr=0.05,weight_decay=0
lbfgs
lbfgs:max_iter=1
lbfgs:max_iter=2
lbfgs:max_iter=2,history_size=3
lbfgs:max_iter=5,strong_wolfe=false
lbfgs:lr=0.3,max_iter=2,history_size=1,strong_wolfe=false
lbfgs:lr=0.1,max_iter=4,max_eval=3,strong_wolfe=false
lbfgs:lr=0.5,max_iter=3,max_eval=4
lbfgs:max_iter=4,max_eval=3
lbfgs:max_iter=8,tolerance_grad=0.5
lbfgs:max_iter=3,tolerance_grad=0.5,history_size=5
lbfgs:max_iter=4,tolerance_change=0.1
lbfgs:lr=0.2,max_iter=8,tolerance_change=0.02,strong_wolfe=false
lbfgs:lr=0.02,max_iter=1,strong_wolfe=false
lbfgs:lr=0.05,max_iter=1,history_size=2
schedule-free
schedule-free:lr=0.1
schedule-free:lr=0.1,beta=0.7,beta2=0.9,eps=0.01
schedule-free:lr=0.1,weight_decay=0.1
schedule-free:lr=0.1,beta1=0.5
schedule-free:lr=0.1,beta2=0.8,amsgrad=true
schedule-free-sgd
schedule-free-sgd:lr=0.1
schedule-free-sgd:lr=0.1,beta=0.6,weight_decay=0.1
schedule-free-sgd:lr=0.02,momentum=0.9,dampening=0.3
schedule-free-sgd:lr=0.02,momentum=0.9,nesterov=true,weight_decay=0.1
sam
sam:lr=0.05,rho=0.2
sam:lr=0.02,rho=0.5,momentum=0.5,nesterov=true
sam:lr=0.05,momentum=0,weight_decay=0.1
sam:lr=0.05,momentum=0.8,dampening=0.5
normalized-gd
normalized-gd:lr=0.3
bold-driver
bold-driver:lr=0.5
bold-driver:lr=0.1,shrink=0.5,grow=1.5
bold-driver:lr=0.02,grow=1.002
""".split()

# With the sign of the function turned as well, so that climbing ends somewhere. Weight decay shows that the gradient's
# sign is turned before anything is added to it.
MAXIMIZED = """
sgd:lr=0.05,momentum=0.9,nesterov=true,weight_decay=0.1
asgd:lr=0.05,lambd=0.1,t0=10,weight_decay=0.1
rprop:lr=0.05
signum:lr=0.02,weight_decay=0.2
adagrad:lr=0.1,weight_decay=0.1
adadelta:lr=5,weight_decay=0.1
rmsprop:lr=0.01,centered=true,momentum=0.5,weight_decay=0.1
adam:lr=0.05,amsgrad=true,weight_decay=0.1
adamax:lr=0.05,weight_decay=0.1
adamw:lr=0.05,weight_decay=0.1
nadam:lr=0.05,weight_decay=0.1
radam:lr=0.05,weight_decay=0.1
adafactor:lr=0.05,weight_decay=0.1
lion:lr=0.01,weight_decay=0.1
lars:lr=1,trust_coefficient=0.01,weight_decay=0.1
lamb:lr=0.02,weight_decay=0.1
schedule-free:lr=0.1,weight_decay=0.1
lbfgs:max_iter=2
sam:lr=0.05,weight_decay=0.1
normalized-gd:lr=0.3
bold-driver:lr=0.5
""".split()

# What surrounds a rule. The bounds clip some steps and leave others alone. Weight decay shows that L2 comes after
# clipping, and that decoupled decay follows the schedule.
PIPELINES = [
    ("sgd:lr=0.05,momentum=0.9", dict(clip_norm=2.0)),
    ("sgd:lr=0.05,momentum=0.9,weight_decay=0.1", dict(clip_norm=2.0, schedule="cosine:steps=120")),
    ("adam:lr=0.05", dict(clip_norm=0.1)),
    ("adamw:lr=0.05,weight_decay=0.1", dict(clip_norm=2.0, schedule="step:every=15,gamma=0.5")),
    ("sgd:lr=0.05,weight_decay=0.1", dict(clip_norm_each=1.0)),
    ("rmsprop:lr=0.01", dict(clip_norm_each=0.5)),
    ("sgd:lr=0.05,momentum=0.9,weight_decay=0.1", dict(clip_value=0.3)),
    ("adagrad:lr=0.1", dict(clip_value=0.3)),
    ("sgd:lr=0.05,weight_decay=0.1", dict(clip_adaptive=0.3)),
    ("sgd:lr=0.05,momentum=0.9", dict(clip_adaptive=0.05)),
    ("muon:lr=0.05", dict(clip_norm=2.0, schedule="cosine:steps=120")),
    ("asgd:lr=0.05,lambd=0.1,t0=10", dict(schedule="cosine:steps=120")),
    ("rprop:lr=0.05", dict(schedule="cosine:steps=120")),
    ("adafactor:lr=0.05,weight_decay=0.1", dict(schedule="step:every=15,gamma=0.5")),
    ("nadam:lr=0.05", dict(schedule="cosine:steps=120")),
    ("schedule-free-sgd:lr=0.3", dict(schedule="constant:warmup=40")),
    ("sgd:lr=0.05", dict(average={"ema": 0.95})),
    ("adam:lr=0.05", dict(average={"ema": 0.999})),
    ("sgd:lr=0.05,momentum=0.9", dict(average="mean")),
]
